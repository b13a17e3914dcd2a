variable "name" {
  description = "Name of the deployment, before the names of everything here"
  type        = string
}

variable "cidr" {
  description = "Addresses of the network"
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && contains(range(16, 23), tonumber(try(split("/", var.cidr)[1], 0)))
    error_message = "cidr is an IPv4 network of /16 to /22, as 10.40.0.0/16: a subnet of AWS has at least a /28, and the public ones are a sixty-fourth of it."
  }
}

variable "zone_count" {
  description = "Availability zones, two or three; the region's first ones, unless availability_zones names them"
  type        = number
  default     = 2

  validation {
    condition     = contains([2, 3], var.zone_count)
    error_message = "zone_count is 2 or 3: load balancers and MSK want two, and a fourth gains nothing."
  }
}

variable "availability_zones" {
  description = "Names of the zones, in place of zone_count"
  type        = list(string)
  default     = []

  validation {
    condition     = contains([0, 2, 3], length(var.availability_zones))
    error_message = "availability_zones names two or three zones, or none."
  }
}

variable "nat" {
  description = "NAT gateways: one, per_zone (a zone's failure then harms no other), or none (then endpoints must cover what is used)"
  type        = string
  default     = "one"

  validation {
    condition     = contains(["none", "one", "per_zone"], var.nat)
    error_message = "nat is none, one or per_zone."
  }
}

variable "endpoints" {
  description = "AWS services that are reached without NAT, by the last part of the endpoint's name"
  type        = set(string)
  default     = []
}

variable "flow_logs" {
  description = "Log the connections that are refused"
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days for which these logs are kept"
  type        = number
  default     = 30
}

variable "kms_key_arn" {
  description = "Key that the logs are encrypted with"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
