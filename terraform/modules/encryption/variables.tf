variable "name" {
  description = "Name of the deployment; the key's alias"
  type        = string
}

variable "deletion_window_days" {
  description = "Days for which a destroyed key can still be had back"
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30
    error_message = "deletion_window_days is 7 to 30: KMS takes nothing else."
  }
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
