variable "name" {
  description = "Name of the deployment"
  type        = string
}

variable "network" {
  description = "Where the brokers are; each subnet is in another zone"
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
}

variable "kafka_version" {
  description = "Version of Kafka, as MSK names it"
  type        = string
  default     = "3.9.x"
}

variable "broker_count" {
  description = "Brokers: a multiple of the zones"
  type        = number
  default     = 2
}

variable "instance_type" {
  description = "Machine of a broker"
  type        = string
  default     = "kafka.m7g.large"

  validation {
    condition     = startswith(var.instance_type, "kafka.")
    error_message = "instance_type is one of MSK's, as kafka.t3.small or kafka.m7g.large."
  }
}

variable "storage_gb" {
  description = "Disk of a broker in GB"
  type        = number
  default     = 100
}

variable "record_bytes_max" {
  description = "Largest record in bytes, as KAFKA_RECORD_BYTES_MAX has it"
  type        = number
  default     = 20971520
}

variable "iam" {
  description = "The services log in with IAM, by their roles, and not with a password"
  type        = bool
  default     = false
}

variable "users" {
  description = "Users with a password each; without any there is no SCRAM"
  type        = set(string)
  default     = ["tahoe"]
}

variable "secret_recovery_window_days" {
  description = "Days for which a destroyed secret can be had back"
  type        = number
  default     = 7
}

variable "log_retention_days" {
  description = "Days for which the brokers' logs are kept"
  type        = number
  default     = 30
}

variable "kms_key_arn" {
  description = "Key of disks, logs and passwords"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
