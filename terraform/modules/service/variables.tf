variable "name" {
  description = "Name of the deployment"
  type        = string
}

variable "service" {
  description = "Name of the service in it, and of its container"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.service))
    error_message = "service has a-z, 0-9 and -, begins with a letter, and at most 31 characters: roles are named after it."
  }
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
  })
}

variable "network" {
  description = "Where the tasks run"
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
}

variable "image" {
  description = "Image, with its tag or digest"
  type        = string
}

variable "image_repositories_arn" {
  description = "Repositories of ECR that images may come from"
  type        = string
  default     = "*"
}

variable "user" {
  description = "User that the container runs as, in place of the image's"
  type        = string
  default     = null
}

variable "entry_point" {
  description = "In place of the image's"
  type        = list(string)
  default     = []
}

variable "command" {
  description = "Arguments"
  type        = list(string)
  default     = []
}

variable "environment" {
  description = "Settings"
  type        = map(string)
  default     = {}
}

variable "secrets" {
  description = "Settings that are secret: ARN of a secret of Secrets Manager, perhaps with the member of its JSON (`arn:…:password::`)"
  type        = map(string)
  default     = {}
}

variable "secret_kms_key_arns" {
  description = "Keys of those secrets, where they are not encrypted with kms_key_arn"
  type        = list(string)
  default     = []
}

variable "steps" {
  description = "Containers that run to their end before the service's own, each time a task starts"
  type = list(object({
    name        = string
    image       = string
    after       = optional(list(string), [])
    user        = optional(string)
    entry_point = optional(list(string), [])
    command     = optional(list(string), [])
    environment = optional(map(string), {})
    secrets     = optional(map(string), {})
    mounts = optional(map(object({
      path      = string
      read_only = optional(bool, false)
    })), {})
  }))
  default = []
}

variable "cpu" {
  description = "CPU units of a task; 1024 is one processor"
  type        = number
  default     = 256

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "cpu is 256, 512, 1024, 2048, 4096, 8192 or 16384: Fargate has no others."
  }
}

variable "memory" {
  description = "Memory of a task in MiB"
  type        = number
  default     = 512

  validation {
    condition = contains(try({
      256   = [512, 1024, 2048]
      512   = range(1024, 4097, 1024)
      1024  = range(2048, 8193, 1024)
      2048  = range(4096, 16385, 1024)
      4096  = range(8192, 30721, 1024)
      8192  = range(16384, 61441, 4096)
      16384 = range(32768, 122881, 8192)
    }[var.cpu], [var.memory]), var.memory)
    error_message = "memory is two to eight times cpu, in whole GiB (1024 CPU units go with 2048, 3072 and so on to 8192 MiB): Fargate has no others."
  }
}

variable "cpu_architecture" {
  description = "X86_64, or ARM64 where the images are built for it"
  type        = string
  default     = "X86_64"
}

variable "read_only_root" {
  description = "The container cannot write to its own file system"
  type        = bool
  default     = true
}

variable "open_files" {
  description = "Files that the container may open [default: Fargate's]"
  type        = number
  default     = null
}

variable "stop_timeout_seconds" {
  description = "Seconds between being asked to stop and being killed"
  type        = number
  default     = 30

  validation {
    condition     = var.stop_timeout_seconds >= 2 && var.stop_timeout_seconds <= 120
    error_message = "stop_timeout_seconds is 2 to 120: Fargate waits no longer."
  }
}

variable "ports" {
  description = "Ports that the container listens on"
  type = list(object({
    port     = number
    protocol = optional(string, "tcp")
  }))
  default = []
}

variable "health_command" {
  description = "Asks the service whether it lives: CMD and a program, or CMD-SHELL and a line"
  type        = list(string)
}

variable "health_start_seconds" {
  description = "Seconds after the start in which a failed answer does not count"
  type        = number
  default     = 60
}

variable "volumes" {
  description = "Volumes of EFS, by name"
  type = map(object({
    file_system_id  = string
    access_point_id = string
  }))
  default = {}
}

variable "mounts" {
  description = "Where volumes are in the container, by name"
  type = map(object({
    path      = string
    read_only = optional(bool, false)
  }))
  default = {}
}

variable "maximum_percent" {
  description = "100 stops the old task before a new one starts, as what has one owner needs; 200 starts the new one first"
  type        = number
  default     = 100

  validation {
    condition     = contains([100, 200], var.maximum_percent)
    error_message = "maximum_percent is 100 or 200."
  }
}

variable "desired_count" {
  description = "Tasks at the start; what scales them, or who, changes it later in ECS"
  type        = number
  default     = 1
}

variable "autoscaling" {
  description = "How many tasks there are, by the seconds that they are behind and by their CPU; nothing scales them without it"
  type = object({
    minimum          = number
    maximum          = number
    lag_seconds      = number
    cpu_percent      = number
    metric_namespace = string
    metric_service   = string
  })
  default = null
}

variable "target_groups" {
  description = "Target groups of load balancers that the tasks join"
  type = list(object({
    arn  = string
    port = number
  }))
  default = []
}

variable "discovery" {
  description = "Have a name in the cluster's namespace"
  type        = bool
  default     = false
}

variable "client_security_group_ids" {
  description = "Groups of the clients of what the service connects to: being in one opens the way"
  type        = list(string)
  default     = []
}

variable "egress" {
  description = "Further connections that the service opens, by what they are for"
  type = map(object({
    port     = number
    protocol = optional(string, "tcp")
    cidrs    = list(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for purpose in keys(var.egress) : can(regex("^[0-9A-Za-z_ .:/()#,@[\\]+=&;{}!$*-]{1,255}$", purpose))])
    error_message = "What a connection of egress is for has letters, digits, spaces and _.:/()#,@[]+=&;{}!$*- (and no apostrophe): it is the rule's description, and security groups take no others."
  }

  validation {
    condition     = alltrue([for opening in values(var.egress) : length(opening.cidrs) > 0 && !(opening.port == 443 && opening.protocol == "tcp" && contains(opening.cidrs, "0.0.0.0/0"))])
    error_message = "A connection of egress has one network or more in cidrs, and is not HTTPS to everywhere: that is open already, and EC2 takes no rule twice."
  }
}

variable "ingress" {
  description = "Connections that the service takes, by what they are for: from addresses, or from a group"
  type = map(object({
    port              = number
    protocol          = optional(string, "tcp")
    cidrs             = optional(list(string))
    security_group_id = optional(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for purpose in keys(var.ingress) : can(regex("^[0-9A-Za-z_ .:/()#,@[\\]+=&;{}!$*-]{1,255}$", purpose))])
    error_message = "What a connection of ingress is for has letters, digits, spaces and _.:/()#,@[]+=&;{}!$*- (and no apostrophe): it is the rule's description, and security groups take no others."
  }
}

variable "task_statements" {
  description = "What the service itself may do in AWS beside being looked into by exec"
  type = list(object({
    actions   = list(string)
    resources = list(string)
  }))
  default = []
}

variable "kms_key_arn" {
  description = "Key of secrets and of exec's sessions"
  type        = string
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}
