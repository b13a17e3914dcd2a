# Producers and transformers alone: Kafka is somebody else's, the store is OpenSearch Service, and
# there is no NAT, since everything that is used has an endpoint in the network.

provider "aws" {
  region = var.region
}

module "tahoe" {
  source = "../.."

  name             = var.name
  image_prefix     = var.image_prefix
  image_tag        = var.image_tag
  cpu_architecture = "ARM64"

  network = {
    cidr      = "172.20.0.0/20"
    nat       = "none"
    endpoints = ["ecr.api", "ecr.dkr", "kms", "logs", "secretsmanager", "ssmmessages"]
  }

  producers = {
    postgres = { environment = { PGHOST = "172.20.4.7", PGUSER = "tahoe" }, secrets = { PGPASSWORD = var.postgres_password_secret_arn }, egress = { database = { port = 5432, cidrs = ["172.20.0.0/20"] } } }
  }

  transformer = { autoscaling = var.autoscaling }

  kafka = {
    type                = "external"
    bootstrap_servers   = "kafka-1.example.com:9096,kafka-2.example.com:9096"
    username            = "tahoe"
    password_secret_arn = var.kafka_password_secret_arn
    ports               = [9096]
    cidrs               = ["172.20.0.0/20"]
  }

  elasticsearch = {
    type       = "opensearch"
    node_count = 2
  }

  retention = { secret_days = var.protect ? 7 : 0, key_days = var.protect ? 30 : 7 }
  protect   = var.protect
}
