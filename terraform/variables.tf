variable "name" {
  description = "Name of the deployment: before the names of everything, so that two can be in one account"
  type        = string
  default     = "tahoe"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,14}[a-z0-9]$", var.name))
    error_message = "name has 3 to 16 characters of a-z, 0-9 and -, and begins with a letter: names of load balancers and roles are made of it, and AWS limits them."
  }
}

variable "tags" {
  description = "Tags of everything"
  type        = map(string)
  default     = {}
}

variable "image_prefix" {
  description = "What the images' names begin with, before tahoe-syslog and so on: a registry and its path, as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/"
  type        = string

  validation {
    condition     = var.image_prefix == "" || can(regex("^[a-z0-9.:_/-]+[/-]$", var.image_prefix))
    error_message = "image_prefix ends in / (or in -), as ghcr.io/acme/."
  }
}

variable "image_tag" {
  description = "Tag of the images: a version, so that a second apply starts the same"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "image_tag is the tag of a version, and not latest: with that, no change would show in a plan."
  }
}

variable "cpu_architecture" {
  description = "X86_64, or ARM64 where the images are built for it (a fifth cheaper)"
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "cpu_architecture is X86_64 or ARM64."
  }
}

variable "network" {
  description = "Addresses, zones and ways out; see modules/network"
  type = object({
    cidr               = optional(string, "10.40.0.0/16")
    zone_count         = optional(number, 2)
    availability_zones = optional(list(string), [])
    nat                = optional(string, "one")
    endpoints          = optional(set(string), [])
    flow_logs          = optional(bool, true)
  })
  default = {}

  validation {
    condition     = contains(["one", "per_zone", "none"], var.network.nat)
    error_message = "network.nat is one, per_zone or none."
  }

  validation {
    condition     = var.network.nat != "none" || length(setsubtract(["ecr.api", "ecr.dkr", "logs", "secretsmanager", "kms", "ssmmessages"], var.network.endpoints)) == 0
    error_message = "With network.nat = none, network.endpoints must hold ecr.api, ecr.dkr, logs, secretsmanager, kms and ssmmessages, and all images must be in ECR: nothing starts otherwise."
  }
}

variable "producers" {
  description = "Producers, by name: one line adds one. Each is a single task, since a source has one owner."
  type = map(object({
    # Which one, if the name does not say it: laravel, syslog, file, mysql, postgres, mongodb.
    binary = optional(string)
    # Settings of the binary; README.md lists them.
    environment = optional(map(string), {})
    # Settings that are secret: ARNs of secrets of Secrets Manager.
    secrets = optional(map(string), {})
    # Keys of those secrets, where they are encrypted with another key than Secrets Manager's own.
    secret_kms_key_arns = optional(list(string), [])
    cpu                 = optional(number, 256)
    memory              = optional(number, 512)
    # Connections that it opens, by what they are for: { database = { port = 5432, cidrs = ["10.0.0.0/16"] } }
    egress = optional(map(object({
      port     = number
      protocol = optional(string, "tcp")
      cidrs    = list(string)
    })), {})
    # Volumes of EFS with log files, by name, and where they are mounted, read-only.
    volumes = optional(map(object({
      file_system_id  = string
      access_point_id = string
      path            = string
    })), {})
    # Groups that open the way to what it reads, as a volume's.
    client_security_group_ids = optional(list(string), [])
  }))
  default = {}

  validation {
    condition = alltrue([
      for name, producer in var.producers :
      contains(["laravel", "syslog", "file", "mysql", "postgres", "mongodb"], coalesce(producer.binary, name))
    ])
    error_message = "A producer's name, or its binary, is laravel, syslog, file, mysql, postgres or mongodb: there are no others."
  }

  validation {
    condition     = alltrue([for name, producer in var.producers : can(regex("^[a-z][a-z0-9-]{0,19}$", name)) && !contains(["transformer", "elasticsearch", "kibana", "kafka"], name)])
    error_message = "A producer's name has at most 20 characters of a-z, 0-9 and -, begins with a letter, and is not transformer, elasticsearch, kibana or kafka."
  }

  validation {
    condition = alltrue(flatten([
      for name, producer in var.producers :
      [for setting in concat(keys(producer.environment), keys(producer.secrets)) : can(regex("^[A-Z][A-Z0-9_]*$", setting))]
    ]))
    error_message = "A setting in environment and secrets is the name of a variable, as MYSQL_HOST; README.md lists them."
  }

  validation {
    condition = alltrue(flatten([
      for name, producer in var.producers :
      [for setting in keys(producer.environment) : !endswith(setting, "PASSWORD") && !endswith(setting, "_SECRET") && setting != "MONGO_URI"]
    ]))
    error_message = "A password belongs into secrets, as the ARN of a secret, not into environment: everybody who may look at the task would read it."
  }

  validation {
    condition = alltrue(flatten([
      for name, producer in var.producers :
      [for arn in values(producer.secrets) : can(regex("^arn:[a-z-]+:secretsmanager:", arn))]
    ]))
    error_message = "secrets holds ARNs of secrets of Secrets Manager, perhaps with the member of their JSON: arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-AbCdEf:password::"
  }
}

variable "transformer" {
  description = "Size of a transformer's task, how many there may be, and its settings"
  type = object({
    cpu    = optional(number, 512)
    memory = optional(number, 1024)
    # Without it there are as many as minimum says, until somebody sets another number in ECS.
    autoscaling = optional(bool, true)
    # Tasks beyond the topics' partitions (6) have nothing to do.
    minimum = optional(number, 1)
    maximum = optional(number, 6)
    # Seconds behind, and CPU in percent, that scaling holds.
    lag_seconds = optional(number, 30)
    cpu_percent = optional(number, 60)
    environment = optional(map(string), {})
    secrets     = optional(map(string), {})
    # Keys of those secrets, as with producers.
    secret_kms_key_arns = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = var.transformer.minimum >= 1 && var.transformer.maximum >= var.transformer.minimum
    error_message = "transformer.minimum is 1 or more, and maximum no less."
  }

  validation {
    condition     = var.transformer.lag_seconds > 0 && var.transformer.cpu_percent > 0 && var.transformer.cpu_percent <= 100
    error_message = "transformer.lag_seconds is more than 0, and cpu_percent 1 to 100."
  }
}

variable "namespace" {
  description = "Client company that the producers' events belong to"
  type        = string
  default     = "default"

  validation {
    condition     = can(regex("^[a-z0-9_.]+$", var.namespace))
    error_message = "namespace has only a-z, 0-9, _ and .: it is the last part of the data streams' names."
  }
}

variable "kafka" {
  description = "Where the log is: msk (provisioned, SCRAM or IAM), msk-serverless (IAM), external, or fargate (one broker, for demonstrations)"
  type = object({
    type = optional(string, "msk")

    # msk
    version       = optional(string, "3.9.x")
    instance_type = optional(string, "kafka.m7g.large")
    # A multiple of the zones; as many as there are zones without it.
    broker_count = optional(number)
    storage_gb   = optional(number, 100)
    # The services log in by their roles (IAM), and need no password.
    iam = optional(bool, false)
    # Users beside tahoe, as of a producer outside; each gets a password.
    users = optional(set(string), [])

    # external
    bootstrap_servers = optional(string)
    security_protocol = optional(string, "sasl_ssl")
    sasl_mechanism    = optional(string, "scram-sha-512")
    username          = optional(string)
    # ARN of a secret, perhaps with the member of its JSON.
    password_secret_arn = optional(string)
    # Addresses and ports of the brokers, for the services' groups.
    ports = optional(list(number), [9092, 9093, 9094, 9096])
    cidrs = optional(list(string), ["0.0.0.0/0"])

    # msk and fargate: a balancer with a name of its own before the brokers, and who may come.
    outside       = optional(bool, false)
    outside_cidrs = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = contains(["msk", "msk-serverless", "external", "fargate"], var.kafka.type)
    error_message = "kafka.type is msk, msk-serverless, external or fargate."
  }

  validation {
    condition     = !var.kafka.iam || var.kafka.type == "msk"
    error_message = "kafka.iam is for msk: msk-serverless has nothing else, and the others do not know it."
  }

  validation {
    condition     = !(var.kafka.iam && var.kafka.outside) || length(var.kafka.users) > 0
    error_message = "kafka.outside with kafka.iam needs kafka.users: who comes from outside has a password."
  }

  validation {
    condition     = var.kafka.type != "external" || can(regex("^[^,:]+:[0-9]+(,[^,:]+:[0-9]+)*$", var.kafka.bootstrap_servers))
    error_message = "kafka.type = external needs kafka.bootstrap_servers, as HOST:PORT,HOST:PORT."
  }

  validation {
    condition     = contains(["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"], replace(lower(var.kafka.security_protocol), "-", "_"))
    error_message = "kafka.security_protocol is plaintext, ssl, sasl_plaintext or sasl_ssl."
  }

  validation {
    condition     = contains(["plain", "scram-sha-256", "scram-sha-512"], lower(var.kafka.sasl_mechanism))
    error_message = "kafka.sasl_mechanism is plain, scram-sha-256 or scram-sha-512: somebody else's brokers know no other of the binaries' mechanisms."
  }

  validation {
    condition     = var.kafka.broker_count == null || try(var.kafka.broker_count % (length(var.network.availability_zones) > 0 ? length(var.network.availability_zones) : var.network.zone_count) == 0, true)
    error_message = "kafka.broker_count is a multiple of the number of zones: MSK spreads brokers evenly."
  }

  validation {
    condition     = !var.kafka.outside || var.domain_name != null
    error_message = "kafka.outside needs domain_name: clients outside check a certificate, which needs a name."
  }

  validation {
    condition     = !var.kafka.outside || length(var.kafka.outside_cidrs) > 0
    error_message = "kafka.outside needs kafka.outside_cidrs: the addresses that may come, as [\"203.0.113.0/24\"]."
  }

  validation {
    condition     = !var.kafka.outside || contains(["msk", "fargate"], var.kafka.type)
    error_message = "kafka.outside is for msk and fargate: what is external is not ours to open."
  }
}

variable "elasticsearch" {
  description = "Where events are stored: fargate (one node, and Kibana), opensearch (OpenSearch Service), or external (Elastic Cloud, say)"
  type = object({
    type = optional(string, "fargate")

    # fargate
    version       = optional(string, "8.19.21")
    cpu           = optional(number, 1024)
    memory        = optional(number, 4096)
    kibana_cpu    = optional(number, 512)
    kibana_memory = optional(number, 2048)

    # opensearch
    engine_version = optional(string, "OpenSearch_2.19")
    instance_type  = optional(string, "m7g.large.search")
    node_count     = optional(number, 2)
    storage_gb     = optional(number, 100)

    # external
    url      = optional(string)
    username = optional(string, "elastic")
    # One of the two: ARN of a secret, perhaps with the member of its JSON.
    password_secret_arn = optional(string)
    api_key_secret_arn  = optional(string)
    port                = optional(number, 443)
    cidrs               = optional(list(string), ["0.0.0.0/0"])
  })
  default = {}

  validation {
    condition     = contains(["fargate", "opensearch", "external"], var.elasticsearch.type)
    error_message = "elasticsearch.type is fargate, opensearch or external."
  }

  validation {
    condition     = var.elasticsearch.type != "external" || can(regex("^https://[^@]+$", var.elasticsearch.url))
    error_message = "elasticsearch.type = external needs elasticsearch.url, https://…, with no user and password in it."
  }

  validation {
    condition     = var.elasticsearch.node_count == 1 || var.elasticsearch.node_count % 2 == 0 || var.elasticsearch.node_count % 3 == 0 && var.network.zone_count == 3
    error_message = "elasticsearch.node_count is 1, an even number, or with three zones a multiple of 3: the service spreads nodes evenly."
  }
}

variable "domain_name" {
  description = "Name under which people and machines find it (kibana., syslog. and kafka. come before it); without one nothing is public"
  type        = string
  default     = null

  validation {
    condition     = var.domain_name == null || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain_name))
    error_message = "domain_name is a name like logs.example.com, in lower case."
  }
}

variable "zone_id" {
  description = "Zone of Route 53 that answers for domain_name"
  type        = string
  default     = null

  validation {
    condition     = var.domain_name == null || var.zone_id != null
    error_message = "domain_name needs zone_id: the zone of Route 53 that names and the certificate's proofs are written to."
  }
}

variable "web" {
  description = "Who may look at Kibana, which a load balancer serves where there is a domain_name"
  type = object({
    allowed_cidrs = optional(list(string), ["0.0.0.0/0"])
    internal      = optional(bool, false)
  })
  default = {}

  validation {
    condition     = alltrue([for cidr in var.web.allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "web.allowed_cidrs are networks, as 203.0.113.0/24."
  }

  validation {
    condition     = length(var.web.allowed_cidrs) > 0
    error_message = "web.allowed_cidrs names one network at least; who wants no load balancer for Kibana gives no domain_name."
  }
}

variable "syslog" {
  description = "Who may send syslog to the producer of that name, over a network load balancer: UDP and TCP on 514, TLS on 6514 where there is a domain_name"
  type = object({
    allowed_cidrs = optional(list(string), [])
    internal      = optional(bool, true)
  })
  default = {}

  validation {
    condition     = alltrue([for cidr in var.syslog.allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "syslog.allowed_cidrs are networks, as 203.0.113.0/24."
  }

  validation {
    condition     = length(var.syslog.allowed_cidrs) == 0 || contains(keys(var.producers), "syslog")
    error_message = "syslog.allowed_cidrs needs a producer of the name syslog: producers = { syslog = {} }."
  }
}

variable "retention" {
  description = "Days for which things are kept: events, and what runs beside them"
  type = object({
    # Events, by rules of which the first that fits counts: a dataset and a company, either, or all, as
    # ["laravel.log-acme=14", "*-acme=365", "60"]. What no rule fits is kept as its dataset declares.
    events = optional(list(string), [])
    # The services' own logs.
    log_days = optional(number, 30)
    # Load balancers' logs.
    access_log_days = optional(number, 90)
    # Days after a destroy for which secrets and the key can be had back; 0 frees names at once.
    secret_days = optional(number, 7)
    key_days    = optional(number, 30)
  })
  default = {}

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.retention.log_days)
    error_message = "retention.log_days is one that CloudWatch has: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 and so on."
  }

  validation {
    condition     = alltrue([for rule in var.retention.events : can(regex("^(([a-z0-9_.]+|[*])(-([a-z0-9_.]+|[*]))?=)?([1-9][0-9]*d?|forever)$", rule))])
    error_message = "retention.events are rules as laravel.log-acme=14, mysql.general=30, *-acme=365, 60 or *-acme=forever."
  }
}

variable "alarms" {
  description = "Who is told, and of how much"
  type = object({
    emails                  = optional(set(string), [])
    lag_seconds             = optional(number, 300)
    dead_letters_per_minute = optional(number, 0)
  })
  default = {}
}

variable "protect" {
  description = "Snapshots and load balancers cannot be destroyed; false where a destroy shall leave nothing"
  type        = bool
  default     = true
}
