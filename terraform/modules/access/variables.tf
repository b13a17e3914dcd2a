variable "name" {
  description = "Name of the deployment"
  type        = string
}

variable "server" {
  description = "Name of the server in it, which the groups' names go by"
  type        = string
}

variable "vpc_id" {
  description = "Network of both"
  type        = string
}

variable "port" {
  description = "The one port that clients speak to"
  type        = number
}

variable "clients_description" {
  description = "What is in the group of clients"
  type        = string
}

variable "server_description" {
  description = "What is in the server's own group; without it there is none, since the server has one already"
  type        = string
  default     = null
}

variable "server_security_group_id" {
  description = "The group that the server has already, which lets its clients in itself"
  type        = string
  default     = null
}

variable "ingress_description" {
  description = "What comes in from clients; of a server's own group"
  type        = string
  default     = null
}

variable "egress_description" {
  description = "What goes out to the server; without it no rule, for a port that clients may speak to anyway"
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
