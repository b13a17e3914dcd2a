variable "name" {
  description = "Name of the deployment"
  type        = string
}

variable "network" {
  description = "Where its clients are"
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
