variable "name" {
  description = "Name of the deployment"
  type        = string
}

variable "volume" {
  description = "Name of the volume in it"
  type        = string
}

variable "network" {
  description = "Where the volume can be mounted"
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
}

variable "subnet_count" {
  description = "How many subnets there are, which must be known before they are"
  type        = number
}

variable "folders" {
  description = "Folders, and the user whose they are: whoever mounts one acts as that user"
  type = map(object({
    uid         = number
    gid         = number
    permissions = optional(string, "0750")
  }))
}

variable "kms_key_arn" {
  description = "Key that the volume is encrypted with"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
