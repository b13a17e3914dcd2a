# MSK with brokers in every zone: TLS, SCRAM or IAM, and a key of ours for what is on disk.

locals {
  # Two of three copies must have a record before it is acknowledged; of two, both would stop every
  # write while one broker restarts.
  replicas      = min(3, var.broker_count)
  insync_copies = local.replicas == 3 ? 2 : 1
  login         = var.iam ? "IAM" : "SCRAM"
}

module "access" {
  source = "../access"

  name                = var.name
  server              = "kafka"
  vpc_id              = var.network.vpc_id
  port                = var.iam ? 9098 : 9096
  clients_description = "What speaks to the brokers of ${var.name}"
  server_description  = "The brokers of ${var.name}"
  ingress_description = "${local.login} over TLS from clients"
  egress_description  = "${local.login} over TLS to the brokers"
  tags                = var.tags
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/kafka"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_msk_configuration" "this" {
  # Another version is another configuration, which must be there before the old one goes.
  name           = "${var.name}-kafka-${replace(var.kafka_version, ".", "-")}"
  description    = "Topics are made by tahoe setup, never by a misspelled name"
  kafka_versions = [var.kafka_version]

  server_properties = join("\n", [
    "auto.create.topics.enable=false",
    "default.replication.factor=${local.replicas}",
    "min.insync.replicas=${local.insync_copies}",
    "unclean.leader.election.enable=false",
    "message.max.bytes=${var.record_bytes_max}",
    "replica.fetch.max.bytes=${var.record_bytes_max}",
  ])

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_msk_cluster" "this" {
  cluster_name           = "${var.name}-kafka"
  kafka_version          = var.kafka_version
  number_of_broker_nodes = var.broker_count
  enhanced_monitoring    = "PER_BROKER"
  tags                   = var.tags

  broker_node_group_info {
    instance_type   = var.instance_type
    client_subnets  = var.network.subnet_ids
    security_groups = [module.access.security_group_id]

    storage_info {
      ebs_storage_info {
        volume_size = var.storage_gb
      }
    }
  }

  client_authentication {
    unauthenticated = false

    sasl {
      scram = length(var.users) > 0
      iam   = var.iam
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.this.arn
    revision = aws_msk_configuration.this.latest_revision
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = var.kms_key_arn

    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.this.name
      }
    }
  }
}

# MSK takes only secrets of this name that are encrypted with a key of ours.
module "user" {
  source   = "../secret"
  for_each = var.users

  secret_name          = "AmazonMSK_${var.name}_${each.key}"
  description          = "User ${each.key} of the brokers of ${var.name}"
  username             = each.key
  recovery_window_days = var.secret_recovery_window_days
  kms_key_arn          = var.kms_key_arn
  tags                 = var.tags
}

resource "aws_secretsmanager_secret_policy" "user" {
  for_each = var.users

  secret_arn = module.user[each.key].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AWSKafkaResourcePolicy"
      Effect    = "Allow"
      Principal = { Service = "kafka.amazonaws.com" }
      Action    = "secretsmanager:GetSecretValue"
      Resource  = module.user[each.key].arn
    }]
  })
}

resource "aws_msk_scram_secret_association" "this" {
  count = length(var.users) > 0 ? 1 : 0

  cluster_arn     = aws_msk_cluster.this.arn
  secret_arn_list = [for user in module.user : user.arn]
  depends_on      = [aws_secretsmanager_secret_policy.user]
}

module "iam" {
  source = "../kafka-iam"
  count  = var.iam ? 1 : 0

  cluster_arn = aws_msk_cluster.this.arn
}
