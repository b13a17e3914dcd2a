variable "region" {
  description = "Region of AWS"
  type        = string
  default     = "eu-west-1"
}

variable "name" {
  description = "Name of the deployment"
  type        = string
  default     = "tahoe"
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

variable "domain_name" {
  description = "Domain of the deployment; its zone is made here, and must be delegated to before the certificate can be proven"
  type        = string
  default     = "logs.example.com"
}

variable "alarm_email" {
  description = "Who is told of alarms"
  type        = string
  default     = "operations@example.com"
}

variable "protect" {
  description = "Load balancers and snapshots cannot be destroyed, and passwords can be had back for a week; for what matters"
  type        = bool
  default     = false
}

variable "kafka_type" {
  description = "Where the log is: msk, msk-serverless, or fargate (one broker, for a look)"
  type        = string
  default     = "msk"
}

variable "autoscaling" {
  description = "Transformers come and go with their lag and CPU"
  type        = bool
  default     = true
}
