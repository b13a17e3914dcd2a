# Everything: three zones, MSK, Elasticsearch and Kibana, all producers, syslog from outside over TLS,
# names, certificates, alarms.
#
# State for more than one person belongs into a bucket, with its lock; modules/state makes one.
#
#   terraform {
#     backend "s3" {
#       bucket       = "acme-terraform-state"
#       key          = "tahoe/terraform.tfstate"
#       region       = "eu-west-1"
#       encrypt      = true
#       use_lockfile = true
#     }
#   }

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      ManagedBy = "terraform"
    }
  }
}

resource "aws_route53_zone" "this" {
  name    = var.domain_name
  comment = "Names of ${var.name}"
}

# A password that somebody else looks after: only its ARN is named here.
resource "aws_secretsmanager_secret" "databases" {
  name                    = "${var.name}/databases"
  description             = "Passwords of the databases that are read: put them in as JSON"
  kms_key_id              = module.tahoe.kms_key_arn
  recovery_window_in_days = var.protect ? 7 : 0
}

resource "aws_secretsmanager_secret_version" "databases" {
  secret_id     = aws_secretsmanager_secret.databases.id
  secret_string = jsonencode({ mysql = "change-me", postgres = "change-me", mongodb = "change-me" })

  lifecycle {
    ignore_changes = [secret_string]
  }
}

# Laravel's logs, where its own tasks write them.
module "application_logs" {
  source = "../../modules/volume"

  name         = var.name
  volume       = "application"
  network      = { vpc_id = module.tahoe.vpc_id, subnet_ids = module.tahoe.private_subnet_ids }
  subnet_count = 3
  kms_key_arn  = module.tahoe.kms_key_arn

  folders = {
    laravel = { uid = 33, gid = 33, permissions = "0755" }
  }
}

module "tahoe" {
  source = "../.."

  name         = var.name
  image_prefix = var.image_prefix
  image_tag    = var.image_tag
  namespace    = "acme"
  tags         = { Team = "operations" }

  domain_name = var.domain_name
  zone_id     = aws_route53_zone.this.zone_id

  network = {
    cidr       = "10.60.0.0/16"
    zone_count = 3
    nat        = "per_zone"
    endpoints  = ["ecr.api", "ecr.dkr", "logs", "secretsmanager"]
  }

  producers = {
    syslog   = {}
    laravel  = { environment = { LARAVEL_LOG_FILE = "/var/log/laravel/laravel*.log" }, volumes = { laravel = merge(module.application_logs.volumes["laravel"], { path = "/var/log/laravel" }) }, client_security_group_ids = [module.application_logs.client_security_group_id] }
    nginx    = { binary = "file", environment = { TAHOE_FILES = "nginx.access=/var/log/laravel/access.log" }, volumes = { laravel = merge(module.application_logs.volumes["laravel"], { path = "/var/log/laravel" }) }, client_security_group_ids = [module.application_logs.client_security_group_id] }
    mysql    = { environment = { MYSQL_HOST = "mysql.example.com", MYSQL_USER = "tahoe" }, secrets = { MYSQL_PASSWORD = "${aws_secretsmanager_secret.databases.arn}:mysql::" }, egress = { database = { port = 3306, cidrs = ["10.0.0.0/8"] } } }
    postgres = { environment = { PGHOST = "postgres.example.com", PGUSER = "tahoe", PGDATABASE = "shop" }, secrets = { PGPASSWORD = "${aws_secretsmanager_secret.databases.arn}:postgres::" }, egress = { database = { port = 5432, cidrs = ["10.0.0.0/8"] } } }
    mongodb  = { environment = { MONGO_HOST = "mongodb.example.com", MONGO_DB = "shop", MONGO_USER = "tahoe" }, secrets = { MONGO_PASSWORD = "${aws_secretsmanager_secret.databases.arn}:mongodb::" }, egress = { database = { port = 27017, cidrs = ["10.0.0.0/8"] } } }
  }

  transformer = {
    autoscaling = var.autoscaling
    minimum     = 2
    maximum     = 6
    lag_seconds = 20
    environment = { TAHOE_ENRICH = "user-agents" }
  }

  kafka = {
    type          = var.kafka_type
    instance_type = "kafka.m7g.large"
    storage_gb    = 250
    users         = ["bastion"]
  }

  elasticsearch = {
    type   = "fargate"
    cpu    = 2048
    memory = 8192
  }

  web    = { allowed_cidrs = ["203.0.113.0/24"] }
  syslog = { allowed_cidrs = ["203.0.113.0/24"], internal = false }
  alarms = { emails = [var.alarm_email], lag_seconds = 120 }

  retention = { secret_days = var.protect ? 7 : 0, key_days = var.protect ? 30 : 7 }
  protect   = var.protect
}
