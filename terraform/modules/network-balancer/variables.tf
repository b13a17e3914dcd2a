variable "name" {
  description = "Name of the deployment"
  type        = string
}

variable "balancer" {
  description = "What stands behind it"
  type        = string
}

variable "vpc_id" {
  description = "Network"
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the balancer"
  type        = list(string)
}

variable "internal" {
  description = "Reached from the network alone"
  type        = bool
  default     = false
}

variable "allowed_cidrs" {
  description = "Addresses that may come"
  type        = list(string)
}

variable "target_cidrs" {
  description = "Addresses of the subnets of what stands behind it"
  type        = list(string)
}

variable "listeners" {
  description = "Listeners, by a short name: where it listens, where to, and how it is known that somebody is there"
  type = map(object({
    port               = number
    protocol           = string
    target_port        = number
    target_protocol    = string
    health_port        = optional(number)
    health_path        = optional(string)
    preserve_client_ip = optional(bool, true)
  }))

  validation {
    condition     = alltrue([for listener in values(var.listeners) : contains(["TCP", "UDP", "TCP_UDP", "TLS"], listener.protocol)])
    error_message = "A listener's protocol is TCP, UDP, TCP_UDP or TLS."
  }
}

variable "attachments" {
  description = "Addresses behind listeners, where no service joins by itself"
  type = map(object({
    listener = string
    address  = string
    port     = number
  }))
  default = {}
}

variable "certificate_arn" {
  description = "Certificate of ACM, for listeners with TLS"
  type        = string
  default     = null
}

variable "host_name" {
  description = "Name that machines use; the balancer's own without it"
  type        = string
  default     = null
}

variable "zone_id" {
  description = "Zone of Route 53 for that name"
  type        = string
  default     = null
}

variable "access_log_bucket" {
  description = "Bucket of the access logs"
  type        = string
}

variable "deletion_protection" {
  description = "The balancer cannot be destroyed"
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
