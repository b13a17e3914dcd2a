variable "name" {
  description = "Name of the deployment and of the domain"
  type        = string
}

variable "network" {
  description = "Where it is reached"
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
}

variable "subnet_count" {
  description = "How many subnets there are"
  type        = number
}

variable "engine_version" {
  description = "Version, as the service names it"
  type        = string
  default     = "OpenSearch_2.19"

  validation {
    condition     = startswith(var.engine_version, "OpenSearch_")
    error_message = "engine_version begins with OpenSearch_: Tahoe's templates want data streams, which the service's old Elasticsearch versions lack."
  }
}

variable "instance_type" {
  description = "Machine of a node"
  type        = string
  default     = "m7g.large.search"

  validation {
    condition     = endswith(var.instance_type, ".search")
    error_message = "instance_type is one of OpenSearch Service's, as m7g.large.search."
  }
}

variable "node_count" {
  description = "Nodes: one, or an even number, or a multiple of three in three zones"
  type        = number
  default     = 2
}

variable "storage_gb" {
  description = "Disk of a node in GB"
  type        = number
  default     = 100
}

variable "secret_recovery_window_days" {
  description = "Days for which a destroyed secret can be had back"
  type        = number
  default     = 7
}

variable "kms_key_arn" {
  description = "Key of disks and password"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
