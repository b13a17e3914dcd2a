# OpenSearch Service in the network: encrypted, with a password of its own, over several zones where
# there are several nodes. OpenSearch Dashboards stands in place of Kibana.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  # The nodes are spread over two or three zones, evenly.
  zones = var.node_count == 1 ? 1 : var.node_count % 3 == 0 && var.subnet_count == 3 ? 3 : 2
}

# Clients speak HTTPS, which every service here may do anyway.
module "access" {
  source = "../access"

  name                = var.name
  server              = "opensearch"
  vpc_id              = var.network.vpc_id
  port                = 443
  clients_description = "What speaks to OpenSearch of ${var.name}"
  server_description  = "OpenSearch of ${var.name}"
  ingress_description = "HTTPS from clients"
  tags                = var.tags
}

module "password" {
  source = "../secret"

  secret_name          = "${var.name}/opensearch"
  description          = "User tahoe of OpenSearch of ${var.name}"
  username             = "tahoe"
  punctuation          = true
  recovery_window_days = var.secret_recovery_window_days
  kms_key_arn          = var.kms_key_arn
  tags                 = var.tags
}

resource "aws_opensearch_domain" "this" {
  domain_name    = var.name
  engine_version = var.engine_version
  tags           = var.tags

  cluster_config {
    instance_type          = var.instance_type
    instance_count         = var.node_count
    zone_awareness_enabled = local.zones > 1

    dynamic "zone_awareness_config" {
      for_each = local.zones > 1 ? [local.zones] : []

      content {
        availability_zone_count = zone_awareness_config.value
      }
    }
  }

  ebs_options {
    ebs_enabled = true
    volume_type = "gp3"
    volume_size = var.storage_gb
    # What gp3 brings by itself: left out, the service's answer differs from the files at each plan.
    iops       = max(3000, 3 * var.storage_gb)
    throughput = var.storage_gb < 170 ? 125 : 250
  }

  vpc_options {
    subnet_ids         = slice(var.network.subnet_ids, 0, local.zones)
    security_group_ids = [module.access.security_group_id]
  }

  encrypt_at_rest {
    enabled    = true
    kms_key_id = var.kms_key_arn
  }

  node_to_node_encryption {
    enabled = true
  }

  domain_endpoint_options {
    enforce_https       = true
    tls_security_policy = "Policy-Min-TLS-1-2-PFS-2023-10"
  }

  advanced_security_options {
    enabled                        = true
    internal_user_database_enabled = true

    master_user_options {
      master_user_name     = "tahoe"
      master_user_password = module.password.password
    }
  }

  # Who comes with a password of the domain's own users needs no identity of AWS as well; the network
  # and the groups decide who comes.
  access_policies = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = "*" }
      Action    = "es:ESHttp*"
      Resource  = "arn:${data.aws_partition.current.partition}:es:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:domain/${var.name}/*"
    }]
  })
}
