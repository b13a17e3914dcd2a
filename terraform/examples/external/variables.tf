variable "region" {
  description = "Region of AWS"
  type        = string
  default     = "eu-west-1"
}

variable "name" {
  description = "Name of the deployment"
  type        = string
  default     = "tahoe-ext"
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

variable "kafka_password_secret_arn" {
  description = "Secret with the password of user tahoe of Kafka"
  type        = string
  default     = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:kafka-AbCdEf:password::"
}

variable "postgres_password_secret_arn" {
  description = "Secret with the password of user tahoe of PostgreSQL"
  type        = string
  default     = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:postgres-AbCdEf:password::"
}

variable "protect" {
  description = "Load balancers and snapshots cannot be destroyed, and passwords can be had back for a week; for what matters"
  type        = bool
  default     = false
}

variable "autoscaling" {
  description = "Transformers come and go with their lag and CPU"
  type        = bool
  default     = true
}
