variable "region" {
  description = "Region of AWS"
  type        = string
  default     = "eu-west-1"
}

variable "name" {
  description = "Name of the deployment"
  type        = string
  default     = "tahoe-look"
}

variable "image_prefix" {
  description = "What the images' names begin with: where `docker push` has put them"
  type        = string
  default     = "ghcr.io/example/"
}

variable "image_tag" {
  description = "Tag of the images"
  type        = string
  default     = "0.1.0"
}

variable "autoscaling" {
  description = "Transformers come and go with their lag and CPU"
  type        = bool
  default     = true
}
