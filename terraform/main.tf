# Tahoe on ECS Fargate: a network, a cluster, a log, a store, producers, transformers, and what tells
# somebody when one of them is silent. Nothing is decided here by what is known only after an apply:
# every count follows from the settings.

locals {
  tags       = merge({ Project = "tahoe", Deployment = var.name }, var.tags)
  zone_count = length(var.network.availability_zones) > 0 ? length(var.network.availability_zones) : var.network.zone_count

  network = {
    vpc_id     = module.network.vpc_id
    subnet_ids = module.network.private_subnet_ids
  }

  cluster = {
    name               = module.cluster.name
    arn                = module.cluster.arn
    log_group_name     = module.cluster.log_group_name
    log_group_arn      = module.cluster.log_group_arn
    exec_log_group_arn = module.cluster.exec_log_group_arn
    namespace_id       = module.cluster.namespace_id
    namespace_name     = module.cluster.namespace_name
  }

  # The service modules' metrics, apart from those of other deployments in the account.
  metric_namespace = "Tahoe/${var.name}"

  # 20 MiB is what the binaries take for the largest record, and 8 MiB what MSK Serverless does.
  record_bytes_max = local.on_serverless ? 8388608 : 20971520

  on_msk          = var.kafka.type == "msk"
  on_serverless   = var.kafka.type == "msk-serverless"
  on_kafka_task   = var.kafka.type == "fargate"
  on_elastic_task = var.elasticsearch.type == "fargate"
  on_opensearch   = var.elasticsearch.type == "opensearch"
  is_public       = var.domain_name != null
  shows_kibana    = local.is_public && local.on_elastic_task
  takes_syslog    = length(var.syslog.allowed_cidrs) > 0
  broker_count    = var.kafka.broker_count == null ? local.zone_count : var.kafka.broker_count

  names = {
    kibana = local.shows_kibana ? ["kibana.${var.domain_name}"] : []
    syslog = local.is_public && local.takes_syslog ? ["syslog.${var.domain_name}"] : []
    kafka  = local.is_public && var.kafka.outside ? ["kafka.${var.domain_name}"] : []
  }
  public_names = flatten(values(local.names))
}

module "encryption" {
  source = "./modules/encryption"

  name                 = var.name
  deletion_window_days = var.retention.key_days
  tags                 = local.tags
}

module "network" {
  source = "./modules/network"

  name               = var.name
  cidr               = var.network.cidr
  zone_count         = var.network.zone_count
  availability_zones = var.network.availability_zones
  nat                = var.network.nat
  endpoints          = var.network.endpoints
  flow_logs          = var.network.flow_logs
  log_retention_days = var.retention.log_days
  kms_key_arn        = module.encryption.key_arn
  tags               = local.tags
}

module "cluster" {
  source = "./modules/cluster"

  name               = var.name
  vpc_id             = module.network.vpc_id
  log_retention_days = var.retention.log_days
  kms_key_arn        = module.encryption.key_arn
  tags               = local.tags
}

module "storage" {
  source = "./modules/storage"

  name            = var.name
  access_log_days = var.retention.access_log_days
  keep_snapshots  = var.protect
  kms_key_arn     = module.encryption.key_arn
  tags            = local.tags
}

module "certificate" {
  source = "./modules/certificate"
  count  = length(local.public_names) > 0 ? 1 : 0

  names   = toset(local.public_names)
  zone_id = var.zone_id
  tags    = local.tags
}

# The log.

module "kafka" {
  source = "./modules/kafka"
  count  = local.on_msk ? 1 : 0

  name                        = var.name
  network                     = local.network
  kafka_version               = var.kafka.version
  broker_count                = local.broker_count
  instance_type               = var.kafka.instance_type
  storage_gb                  = var.kafka.storage_gb
  record_bytes_max            = local.record_bytes_max
  iam                         = var.kafka.iam
  users                       = setunion(var.kafka.iam ? [] : ["tahoe"], var.kafka.users)
  secret_recovery_window_days = var.retention.secret_days
  log_retention_days          = var.retention.log_days
  kms_key_arn                 = module.encryption.key_arn
  tags                        = local.tags
}

module "kafka_serverless" {
  source = "./modules/kafka-serverless"
  count  = local.on_serverless ? 1 : 0

  name    = var.name
  network = local.network
  tags    = local.tags
}

module "kafka_task" {
  source = "./modules/kafka-fargate"
  count  = local.on_kafka_task ? 1 : 0

  name                        = var.name
  cluster                     = local.cluster
  network                     = local.network
  subnet_count                = local.zone_count
  cpu_architecture            = var.cpu_architecture
  record_bytes_max            = local.record_bytes_max
  outside_name                = var.kafka.outside ? "kafka.${var.domain_name}" : null
  outside_target_group_arns   = [for balancer in module.kafka_balancer : balancer.target_group_arns["kafka"]]
  outside_security_group_id   = one([for balancer in module.kafka_balancer : balancer.security_group_id])
  secret_recovery_window_days = var.retention.secret_days
  kms_key_arn                 = module.encryption.key_arn
  tags                        = local.tags
}

# Of MSK each broker has a port of its own, since a client must reach the one that leads a partition.
data "aws_msk_broker_nodes" "this" {
  count = local.on_msk && var.kafka.outside ? 1 : 0

  cluster_arn = module.kafka[0].cluster_arn
}

locals {
  broker_indices = local.on_msk && var.kafka.outside ? range(local.broker_count) : []

  broker_listeners = merge(
    { for index in local.broker_indices : "broker-${index + 1}" => { port = 9001 + index, protocol = "TLS", target_port = 9096, target_protocol = "TLS", preserve_client_ip = false } },
    { for index in slice(local.broker_indices, 0, min(1, length(local.broker_indices))) : "brokers" => { port = 9000, protocol = "TLS", target_port = 9096, target_protocol = "TLS", preserve_client_ip = false } },
  )

  task_listeners = {
    for name in local.names.kafka : "kafka" => { port = 9094, protocol = "TLS", target_port = 9094, target_protocol = "TLS", preserve_client_ip = false }
    if local.on_kafka_task
  }

  # By the brokers' numbers, which begin with 1.
  broker_addresses = { for node in flatten(data.aws_msk_broker_nodes.this[*].node_info_list) : node.broker_id => node.client_vpc_ip_address }

  broker_attachments = merge(
    { for index in local.broker_indices : "broker-${index + 1}" => { listener = "broker-${index + 1}", address = local.broker_addresses[index + 1], port = 9096 } },
    { for index in local.broker_indices : "brokers-${index + 1}" => { listener = "brokers", address = local.broker_addresses[index + 1], port = 9096 } },
  )
}

module "kafka_balancer" {
  source   = "./modules/network-balancer"
  for_each = toset(local.names.kafka)

  name                = var.name
  balancer            = "kafka"
  vpc_id              = module.network.vpc_id
  subnet_ids          = module.network.public_subnet_ids
  allowed_cidrs       = var.kafka.outside_cidrs
  target_cidrs        = module.network.private_subnet_cidrs
  listeners           = merge(local.broker_listeners, local.task_listeners)
  attachments         = local.broker_attachments
  certificate_arn     = module.certificate[0].arn
  host_name           = each.key
  zone_id             = var.zone_id
  access_log_bucket   = module.storage.access_log_bucket
  deletion_protection = var.protect
  tags                = local.tags
}

resource "aws_security_group_rule" "brokers_from_balancer" {
  for_each = local.on_msk ? toset(local.names.kafka) : toset([])

  type                     = "ingress"
  description              = "SCRAM over TLS from the balancer"
  security_group_id        = module.kafka[0].security_group_id
  protocol                 = "tcp"
  from_port                = 9096
  to_port                  = 9096
  source_security_group_id = module.kafka_balancer[each.key].security_group_id
}

# The store.

module "elasticsearch" {
  source = "./modules/elasticsearch"
  count  = local.on_elastic_task ? 1 : 0

  name                        = var.name
  cluster                     = local.cluster
  network                     = local.network
  subnet_count                = local.zone_count
  stack_version               = var.elasticsearch.version
  cpu                         = var.elasticsearch.cpu
  memory                      = var.elasticsearch.memory
  kibana_cpu                  = var.elasticsearch.kibana_cpu
  kibana_memory               = var.elasticsearch.kibana_memory
  cpu_architecture            = var.cpu_architecture
  kibana_url                  = local.shows_kibana ? "https://kibana.${var.domain_name}" : "https://localhost:5601"
  kibana_is_balanced          = local.shows_kibana
  kibana_target_group_arns    = module.web[*].target_group_arn
  kibana_security_group_id    = one(module.web[*].security_group_id)
  snapshot_bucket_arn         = module.storage.snapshot_bucket_arn
  secret_recovery_window_days = var.retention.secret_days
  kms_key_arn                 = module.encryption.key_arn
  tags                        = local.tags
}

module "opensearch" {
  source = "./modules/opensearch"
  count  = local.on_opensearch ? 1 : 0

  name                        = var.name
  network                     = local.network
  subnet_count                = local.zone_count
  engine_version              = var.elasticsearch.engine_version
  instance_type               = var.elasticsearch.instance_type
  node_count                  = var.elasticsearch.node_count
  storage_gb                  = var.elasticsearch.storage_gb
  secret_recovery_window_days = var.retention.secret_days
  kms_key_arn                 = module.encryption.key_arn
  tags                        = local.tags
}

module "web" {
  source = "./modules/load-balancer"
  count  = local.shows_kibana ? 1 : 0

  name                = var.name
  vpc_id              = module.network.vpc_id
  subnet_ids          = var.web.internal ? module.network.private_subnet_ids : module.network.public_subnet_ids
  internal            = var.web.internal
  allowed_cidrs       = var.web.allowed_cidrs
  target_cidrs        = module.network.private_subnet_cidrs
  target_port         = 5601
  health_path         = "/login"
  host_name           = "kibana.${var.domain_name}"
  zone_id             = var.zone_id
  certificate_arn     = module.certificate[0].arn
  access_log_bucket   = module.storage.access_log_bucket
  deletion_protection = var.protect
  tags                = local.tags
}

module "syslog_balancer" {
  source = "./modules/network-balancer"
  count  = local.takes_syslog ? 1 : 0

  name                = var.name
  balancer            = "syslog"
  vpc_id              = module.network.vpc_id
  subnet_ids          = var.syslog.internal ? module.network.private_subnet_ids : module.network.public_subnet_ids
  internal            = var.syslog.internal
  allowed_cidrs       = var.syslog.allowed_cidrs
  target_cidrs        = module.network.private_subnet_cidrs
  certificate_arn     = one(module.certificate[*].arn)
  host_name           = local.is_public ? "syslog.${var.domain_name}" : null
  zone_id             = var.zone_id
  access_log_bucket   = module.storage.access_log_bucket
  deletion_protection = var.protect
  tags                = local.tags

  # A datagram says nothing of who is there: the probe asks the producer's own port of health.
  listeners = merge(
    { syslog = { port = 514, protocol = "TCP_UDP", target_port = 5514, target_protocol = "TCP_UDP", health_port = 9100, health_path = "/readyz" } },
    { for name in local.names.syslog : "syslog-tls" => { port = 6514, protocol = "TLS", target_port = 5515, target_protocol = "TCP", health_port = 9100, health_path = "/readyz" } },
  )
}

module "producer" {
  source   = "./modules/service"
  for_each = var.producers

  name                = var.name
  service             = each.key
  cluster             = local.cluster
  network             = local.network
  image               = "${var.image_prefix}tahoe-${local.binaries[each.key]}:${var.image_tag}"
  cpu                 = each.value.cpu
  memory              = each.value.memory
  cpu_architecture    = var.cpu_architecture
  kms_key_arn         = module.encryption.key_arn
  secret_kms_key_arns = each.value.secret_kms_key_arns
  tags                = local.tags

  # A source has one owner: the old task must be gone before the new one comes.
  maximum_percent = 100

  environment = merge(
    local.process_environment,
    local.kafka_environment,
    # A task's own name changes with each start, and positions are kept under the host's.
    { TAHOE_HOST = "${var.name}-${each.key}", TAHOE_NAMESPACE = var.namespace },
    local.binary_environment[local.binaries[each.key]],
    each.value.environment,
  )
  secrets = merge(local.kafka_secrets, each.value.secrets)

  # A task that waits for Kafka is not mended by another one: whether it lives is what counts.
  health_command = ["CMD", "tahoe-${local.binaries[each.key]}", "--probe", "http://127.0.0.1:9100/healthz"]

  ports = local.binaries[each.key] == "syslog" ? concat(
    [{ port = 5514, protocol = "tcp" }, { port = 5514, protocol = "udp" }, { port = 9100, protocol = "tcp" }],
    [for name in local.names.syslog : { port = 5515, protocol = "tcp" }],
  ) : []

  target_groups = each.key == "syslog" ? concat(
    [for balancer in module.syslog_balancer : { arn = balancer.target_group_arns["syslog"], port = 5514 }],
    [for name in local.names.syslog : { arn = module.syslog_balancer[0].target_group_arns["syslog-tls"], port = 5515 }],
  ) : []

  ingress = each.key == "syslog" && local.takes_syslog ? {
    for opening in concat(
      [{ purpose = "syslog over TCP", port = 5514, protocol = "tcp" }, { purpose = "syslog over UDP", port = 5514, protocol = "udp" }, { purpose = "probes of health", port = 9100, protocol = "tcp" }],
      [for name in local.names.syslog : { purpose = "syslog that came over TLS", port = 5515, protocol = "tcp" }],
    ) : opening.purpose => { port = opening.port, protocol = opening.protocol, security_group_id = module.syslog_balancer[0].security_group_id }
  } : {}

  egress                    = merge(local.kafka_egress, each.value.egress)
  client_security_group_ids = concat(local.kafka_groups, each.value.client_security_group_ids)
  task_statements           = local.producer_statements

  volumes = merge(local.kafka_volumes, { for name, volume in each.value.volumes : name => { file_system_id = volume.file_system_id, access_point_id = volume.access_point_id } })
  mounts  = merge(local.kafka_mounts, { for name, volume in each.value.volumes : name => { path = volume.path, read_only = true } })
}

module "transformer" {
  source = "./modules/service"

  name             = var.name
  service          = "transformer"
  cluster          = local.cluster
  network          = local.network
  image            = "${var.image_prefix}tahoe-transformer:${var.image_tag}"
  cpu              = var.transformer.cpu
  memory           = var.transformer.memory
  cpu_architecture = var.cpu_architecture
  kms_key_arn      = module.encryption.key_arn
  tags             = local.tags

  # A second one takes partitions over from the first: the group sees to it.
  maximum_percent = 200

  environment         = merge(local.process_environment, local.kafka_environment, local.elastic_environment, var.transformer.environment)
  secrets             = merge(local.kafka_secrets, local.elastic_secrets, var.transformer.secrets)
  secret_kms_key_arns = var.transformer.secret_kms_key_arns
  health_command      = ["CMD", "tahoe-transformer", "--probe", "http://127.0.0.1:9100/healthz"]

  # Topics, templates and data streams are there before the first record is read; what is there
  # already stays.
  steps = [{
    name    = "setup"
    image   = "${var.image_prefix}tahoe:${var.image_tag}"
    command = ["setup"]
    environment = merge(
      local.kafka_environment,
      local.elastic_environment,
      { TAHOE_LOG_FORMAT = "json", TAHOE_NAMESPACE = var.namespace },
      length(var.retention.events) > 0 ? { TAHOE_RETENTION = join(",", var.retention.events) } : {},
    )
    secrets = merge(local.kafka_secrets, local.elastic_secrets)
    mounts  = merge(local.kafka_mounts, local.elastic_mounts)
  }]

  desired_count = var.transformer.minimum
  autoscaling = !var.transformer.autoscaling ? null : {
    minimum          = var.transformer.minimum
    maximum          = var.transformer.maximum
    lag_seconds      = var.transformer.lag_seconds
    cpu_percent      = var.transformer.cpu_percent
    metric_namespace = local.metric_namespace
    metric_service   = "tahoe-transformer"
  }

  egress                    = merge(local.kafka_egress, local.elastic_egress)
  client_security_group_ids = concat(local.kafka_groups, local.elastic_groups)
  task_statements           = concat(local.transformer_statements, local.elastic_statements)
  volumes                   = merge(local.kafka_volumes, local.elastic_volumes)
  mounts                    = merge(local.kafka_mounts, local.elastic_mounts)
}

module "monitoring" {
  source = "./modules/monitoring"

  name                    = var.name
  cluster_name            = var.name
  services                = toset(concat(keys(var.producers), ["transformer"], local.on_elastic_task ? ["elasticsearch", "kibana"] : [], local.on_kafka_task ? ["kafka"] : []))
  producer_binaries       = toset(values(local.binaries))
  metric_namespace        = local.metric_namespace
  lag_seconds             = var.alarms.lag_seconds
  dead_letters_per_minute = var.alarms.dead_letters_per_minute
  kafka_cluster_names     = module.kafka[*].cluster_name
  opensearch_domain_names = module.opensearch[*].domain_name
  alarm_emails            = var.alarms.emails
  kms_key_arn             = module.encryption.key_arn
  tags                    = local.tags
}
