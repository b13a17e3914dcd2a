variable "name" {
  description = "Name of the deployment and of the dashboard"
  type        = string
}

variable "cluster_name" {
  description = "Cluster in which the services run"
  type        = string
}

variable "services" {
  description = "Services of which one task at least must run"
  type        = set(string)
}

variable "producer_binaries" {
  description = "Producers, by the last part of their binaries' names"
  type        = set(string)
}

variable "metric_namespace" {
  description = "Namespace of the services' own metrics, as TAHOE_EMF_NAMESPACE has it"
  type        = string
}

variable "lag_seconds" {
  description = "Seconds behind that raise the alarm after five minutes"
  type        = number
  default     = 300

  validation {
    condition     = var.lag_seconds > 0
    error_message = "lag_seconds is more than 0."
  }
}

variable "dead_letters_per_minute" {
  description = "Rejected records a minute that raise the alarm after five minutes"
  type        = number
  default     = 0
}

variable "kafka_cluster_names" {
  description = "The cluster of MSK, or none"
  type        = list(string)
  default     = []
}

variable "opensearch_domain_names" {
  description = "The domain of OpenSearch Service, or none"
  type        = list(string)
  default     = []
}

variable "alarm_emails" {
  description = "Who is told; each must confirm once"
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "alarm_emails are addresses of mail."
  }
}

variable "kms_key_arn" {
  description = "Key of the messages"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
