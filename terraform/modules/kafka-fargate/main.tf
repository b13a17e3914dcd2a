# One broker with its log on EFS: for demonstrations. With a single copy of each record a broken
# task stops everything until it is back, and EFS answers an fsync in milliseconds where a disk takes
# microseconds.

locals {
  broker_name = "kafka.${var.cluster.namespace_name}"
  outside     = var.outside_name != null
  listeners   = concat(["INSIDE://:9092", "CONTROLLER://localhost:9093"], local.outside ? ["OUTSIDE://:9094"] : [])
  advertised  = concat(["INSIDE://${local.broker_name}:9092"], local.outside ? ["OUTSIDE://${var.outside_name}:${var.outside_port}"] : [])
  protocols   = concat(["INSIDE:SASL_SSL", "CONTROLLER:PLAINTEXT"], local.outside ? ["OUTSIDE:SASL_SSL"] : [])
}

module "password" {
  source = "../secret"

  secret_name          = "${var.name}/kafka"
  description          = "User tahoe of the broker of ${var.name}"
  username             = "tahoe"
  recovery_window_days = var.secret_recovery_window_days
  kms_key_arn          = var.kms_key_arn
  tags                 = var.tags
}

module "volume" {
  source = "../volume"

  name         = var.name
  volume       = "kafka"
  network      = var.network
  subnet_count = var.subnet_count
  kms_key_arn  = var.kms_key_arn
  tags         = var.tags

  folders = {
    kafka-data         = { uid = 1000, gid = 1000 }
    kafka-certificates = { uid = 1000, gid = 1000 }
    kafka-authority    = { uid = 1000, gid = 1000, permissions = "0755" }
  }
}

module "access" {
  source = "../access"

  name                     = var.name
  server                   = "kafka"
  vpc_id                   = var.network.vpc_id
  port                     = 9092
  clients_description      = "What speaks to the broker of ${var.name}"
  server_security_group_id = module.broker.security_group_id
  egress_description       = "SASL over TLS to the broker"
  tags                     = var.tags
}

module "broker" {
  source = "../service"

  name             = var.name
  service          = "kafka"
  cluster          = var.cluster
  network          = var.network
  image            = var.image
  cpu              = 1024
  memory           = 2048
  cpu_architecture = var.cpu_architecture
  read_only_root   = false
  open_files       = 65536
  kms_key_arn      = var.kms_key_arn
  tags             = var.tags
  discovery        = true
  entry_point      = ["/bin/bash", "-c", file("${path.module}/start.sh")]

  environment = {
    CLUSTER_ID                                             = "VGFob2UtZGVtb25zdHJhdA"
    KAFKA_NODE_ID                                          = "1"
    KAFKA_PROCESS_ROLES                                    = "broker,controller"
    KAFKA_CONTROLLER_QUORUM_VOTERS                         = "1@localhost:9093"
    KAFKA_CONTROLLER_LISTENER_NAMES                        = "CONTROLLER"
    KAFKA_LISTENERS                                        = join(",", local.listeners)
    KAFKA_ADVERTISED_LISTENERS                             = join(",", local.advertised)
    KAFKA_LISTENER_SECURITY_PROTOCOL_MAP                   = join(",", local.protocols)
    KAFKA_INTER_BROKER_LISTENER_NAME                       = "INSIDE"
    KAFKA_SASL_ENABLED_MECHANISMS                          = "PLAIN"
    KAFKA_SASL_MECHANISM_INTER_BROKER_PROTOCOL             = "PLAIN"
    KAFKA_SSL_KEYSTORE_TYPE                                = "PKCS12"
    KAFKA_SSL_KEYSTORE_LOCATION                            = "/certs/broker.p12"
    KAFKA_SSL_TRUSTSTORE_TYPE                              = "PEM"
    KAFKA_SSL_TRUSTSTORE_LOCATION                          = "/authority/ca.crt"
    KAFKA_LOG_DIRS                                         = "/var/lib/kafka/data/log"
    KAFKA_AUTO_CREATE_TOPICS_ENABLE                        = "false"
    KAFKA_MESSAGE_MAX_BYTES                                = tostring(var.record_bytes_max)
    KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR                 = "1"
    KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR         = "1"
    KAFKA_TRANSACTION_STATE_LOG_MIN_ISR                    = "1"
    KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR = "1"
    KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR            = "1"
    KAFKA_HEAP_OPTS                                        = "-Xms1g -Xmx1g"
  }

  secrets = {
    BROKER_PASSWORD = module.password.password_from
  }

  steps = [{
    name        = "certificates"
    image       = var.image
    entry_point = ["/bin/bash", "-c", file("${path.module}/certificates.sh")]
    environment = { BROKER_NAME = local.broker_name }
    secrets     = { BROKER_PASSWORD = module.password.password_from }
    mounts = {
      kafka-certificates = { path = "/certs" }
      kafka-authority    = { path = "/authority" }
    }
  }]

  volumes = module.volume.volumes

  mounts = {
    kafka-data         = { path = "/var/lib/kafka/data" }
    kafka-certificates = { path = "/certs", read_only = true }
    kafka-authority    = { path = "/authority", read_only = true }
  }

  ports = concat([{ port = 9092 }], local.outside ? [{ port = 9094 }] : [])

  # A broker opens its listener when it can serve; a client would cost a JVM each time.
  health_command       = ["CMD-SHELL", "bash -c '</dev/tcp/localhost/9092'"]
  health_start_seconds = 120
  stop_timeout_seconds = 120

  target_groups             = [for arn in var.outside_target_group_arns : { arn = arn, port = 9094 }]
  client_security_group_ids = [module.volume.client_security_group_id]

  ingress = merge(
    { "SASL over TLS from clients" = { port = 9092, security_group_id = module.access.client_security_group_id } },
    local.outside ? { "SASL over TLS from the balancer" = { port = 9094, security_group_id = var.outside_security_group_id } } : {},
  )

  task_statements = [{
    actions   = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    resources = [module.volume.file_system_arn]
  }]
}
