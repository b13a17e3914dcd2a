variable "name" {
  description = "Name of the deployment, before the buckets' names"
  type        = string
}

variable "access_log_days" {
  description = "Days for which access logs are kept"
  type        = number
  default     = 90

  validation {
    condition     = var.access_log_days >= 1
    error_message = "access_log_days is 1 or more."
  }
}

variable "keep_snapshots" {
  description = "A bucket that holds snapshots cannot be destroyed"
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Key of the snapshots"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
