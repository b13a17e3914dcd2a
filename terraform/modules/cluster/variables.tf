variable "name" {
  description = "Name of the deployment and of the cluster"
  type        = string
}

variable "vpc_id" {
  description = "Network in which the services' names are known"
  type        = string
}

variable "log_retention_days" {
  description = "Days for which the services' own logs are kept"
  type        = number
  default     = 30
}

variable "kms_key_arn" {
  description = "Key that logs and sessions are encrypted with"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
