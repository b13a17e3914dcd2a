# The smallest that does something, for a look: syslog and a Kafka and an Elasticsearch on Fargate,
# nothing public. Everything goes with `terraform destroy`.

provider "aws" {
  region = var.region
}

module "tahoe" {
  source = "../.."

  name         = var.name
  image_prefix = var.image_prefix
  image_tag    = var.image_tag

  producers = {
    syslog = {}
  }

  syslog = { allowed_cidrs = ["10.40.0.0/16"] }
  kafka  = { type = "fargate" }

  transformer = { autoscaling = var.autoscaling, maximum = 2 }
  retention   = { log_days = 7, access_log_days = 7, secret_days = 0, key_days = 7 }
  protect     = false
}
