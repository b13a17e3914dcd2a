# MSK Serverless: no brokers to choose, and clients with IAM alone.

resource "aws_security_group" "this" {
  name        = "${var.name}-kafka-serverless"
  description = "MSK Serverless of ${var.name}: its clients are in the group themselves"
  vpc_id      = var.network.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-kafka-serverless" })
}

resource "aws_security_group_rule" "within" {
  for_each = toset(["ingress", "egress"])

  type              = each.key
  description       = "IAM over TLS within the group"
  security_group_id = aws_security_group.this.id
  protocol          = "tcp"
  from_port         = 9098
  to_port           = 9098
  self              = true
}

resource "aws_msk_serverless_cluster" "this" {
  cluster_name = "${var.name}-kafka-serverless"
  tags         = var.tags

  vpc_config {
    subnet_ids         = var.network.subnet_ids
    security_group_ids = [aws_security_group.this.id]
  }

  client_authentication {
    sasl {
      iam {
        enabled = true
      }
    }
  }
}

# The cluster itself says its address only to newer providers.
data "aws_msk_bootstrap_brokers" "this" {
  cluster_arn = aws_msk_serverless_cluster.this.arn
}

module "iam" {
  source = "../kafka-iam"

  cluster_arn = aws_msk_serverless_cluster.this.arn
}
