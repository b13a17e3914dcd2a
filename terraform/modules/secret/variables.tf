variable "secret_name" {
  description = "Name of the secret"
  type        = string
}

variable "description" {
  description = "Whose password it is"
  type        = string
}

variable "username" {
  description = "User that the password belongs to; a member of the secret's JSON beside it"
  type        = string
}

variable "length" {
  description = "Characters of the password"
  type        = number
  default     = 32

  validation {
    condition     = var.length >= 16
    error_message = "length is 16 or more."
  }
}

variable "punctuation" {
  description = "The password has punctuation, as OpenSearch demands"
  type        = bool
  default     = false
}

variable "recovery_window_days" {
  description = "Days for which a destroyed secret can be had back; 0 frees its name at once"
  type        = number
  default     = 7

  validation {
    condition     = var.recovery_window_days == 0 || var.recovery_window_days >= 7 && var.recovery_window_days <= 30
    error_message = "recovery_window_days is 0, or 7 to 30: Secrets Manager takes nothing else."
  }
}

variable "kms_key_arn" {
  description = "Key that it is encrypted with"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
