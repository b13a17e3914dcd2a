variable "name" {
  description = "Name of the deployment"
  type        = string
}

variable "cluster" {
  description = "The cluster module's outputs"
  type = object({
    name               = string
    arn                = string
    log_group_name     = string
    log_group_arn      = string
    exec_log_group_arn = string
    namespace_id       = string
    namespace_name     = string
  })
}

variable "network" {
  description = "Where the broker runs"
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
}

variable "subnet_count" {
  description = "How many subnets there are"
  type        = number
}

variable "image" {
  description = "Image of Kafka"
  type        = string
  default     = "apache/kafka:4.3.1"
}

variable "cpu_architecture" {
  description = "X86_64 or ARM64"
  type        = string
  default     = "X86_64"
}

variable "record_bytes_max" {
  description = "Largest record in bytes"
  type        = number
  default     = 20971520
}

variable "outside_name" {
  description = "Name under which the broker is reached from outside the network; not reached without it"
  type        = string
  default     = null
}

variable "outside_port" {
  description = "Port under that name"
  type        = number
  default     = 9094
}

variable "outside_target_group_arns" {
  description = "Target groups of the balancer in front of it"
  type        = list(string)
  default     = []
}

variable "outside_security_group_id" {
  description = "Group of that balancer"
  type        = string
  default     = null
}

variable "secret_recovery_window_days" {
  description = "Days for which a destroyed secret can be had back"
  type        = number
  default     = 7
}

variable "kms_key_arn" {
  description = "Key of volume and password"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
