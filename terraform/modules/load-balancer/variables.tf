variable "name" {
  description = "Name of the deployment"
  type        = string
}

variable "vpc_id" {
  description = "Network"
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the balancer, in two zones or more"
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
  description = "Addresses of the subnets in which the service runs"
  type        = list(string)
}

variable "target_port" {
  description = "Port of the service, which speaks HTTPS"
  type        = number
}

variable "health_path" {
  description = "Path that a living service answers with 2xx or 3xx"
  type        = string
}

variable "host_name" {
  description = "Name that people use"
  type        = string
}

variable "zone_id" {
  description = "Zone of Route 53 for that name"
  type        = string
}

variable "certificate_arn" {
  description = "Certificate of ACM for that name"
  type        = string
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
