variable "names" {
  description = "Names that the certificate is for"
  type        = set(string)

  validation {
    condition     = length(var.names) > 0
    error_message = "names has one name or more."
  }
}

variable "zone_id" {
  description = "Zone of Route 53 that answers for these names"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
