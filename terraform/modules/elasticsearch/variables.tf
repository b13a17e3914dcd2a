variable "name" {
  description = "Name of the deployment, and of the cluster of Elasticsearch"
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
  description = "Where both run"
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
}

variable "subnet_count" {
  description = "How many subnets there are"
  type        = number
}

variable "stack_version" {
  description = "Version of Elasticsearch and Kibana"
  type        = string
  default     = "8.19.21"
}

variable "aws_cli_image" {
  description = "Image with the AWS command and bash, which puts the certificates into Secrets Manager"
  type        = string
  default     = "public.ecr.aws/aws-cli/aws-cli:2.31.0"
}

variable "cpu" {
  description = "CPU units of Elasticsearch"
  type        = number
  default     = 1024
}

variable "memory" {
  description = "Memory of Elasticsearch in MiB"
  type        = number
  default     = 4096
}

variable "kibana_cpu" {
  description = "CPU units of Kibana"
  type        = number
  default     = 512
}

variable "kibana_memory" {
  description = "Memory of Kibana in MiB"
  type        = number
  default     = 2048
}

variable "cpu_architecture" {
  description = "X86_64 or ARM64"
  type        = string
  default     = "X86_64"
}

variable "kibana_url" {
  description = "Address under which people know Kibana"
  type        = string
}

variable "kibana_is_balanced" {
  description = "A load balancer stands before Kibana"
  type        = bool
  default     = false
}

variable "kibana_target_group_arns" {
  description = "Its target groups"
  type        = list(string)
  default     = []
}

variable "kibana_security_group_id" {
  description = "Its group"
  type        = string
  default     = null
}

variable "snapshot_bucket_arn" {
  description = "Bucket that snapshots go to"
  type        = string
}

variable "secret_recovery_window_days" {
  description = "Days for which a destroyed secret can be had back"
  type        = number
  default     = 7
}

variable "kms_key_arn" {
  description = "Key of volume and secrets"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
