# One node of Elasticsearch and one Kibana on Fargate, their data on EFS, their certificates drawn by
# the first task and kept in Secrets Manager: no key passes through Terraform's state.

locals {
  domain  = var.cluster.namespace_name
  address = "elasticsearch.${local.domain}"
  url     = "https://${local.address}:9200"
  image   = "docker.elastic.co/elasticsearch/elasticsearch:${var.stack_version}"

  # Half of the memory is the JVM's, half the page cache's.
  heap_mib = floor(var.memory / 2)

  passwords = {
    elastic = "User elastic of Elasticsearch"
    kibana  = "Kibana's own account in Elasticsearch"
    # Alert rules and sessions are encrypted with it.
    kibana-key = "What Kibana encrypts its saved objects with"
  }

  volumes = module.volume.volumes

  mount_statement = {
    actions   = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    resources = [module.volume.file_system_arn]
  }
}

module "password" {
  source   = "../secret"
  for_each = local.passwords

  secret_name          = "${var.name}/${each.key}"
  description          = each.value
  username             = each.key == "kibana" ? "kibana_system" : each.key
  length               = 40
  recovery_window_days = var.secret_recovery_window_days
  kms_key_arn          = var.kms_key_arn
  tags                 = var.tags
}

# Its value comes from the first task.
resource "aws_secretsmanager_secret" "certificates" {
  name                    = "${var.name}/elasticsearch-certificates"
  description             = "Authority, certificates and keys of Elasticsearch and Kibana of ${var.name}"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_window_days
  tags                    = var.tags
}

module "volume" {
  source = "../volume"

  name         = var.name
  volume       = "elasticsearch"
  network      = var.network
  subnet_count = var.subnet_count
  kms_key_arn  = var.kms_key_arn
  tags         = var.tags

  folders = {
    elasticsearch-data         = { uid = 1000, gid = 0 }
    elasticsearch-certificates = { uid = 1000, gid = 0 }
    kibana-data                = { uid = 1000, gid = 0 }
    kibana-certificates        = { uid = 1000, gid = 0 }
    elasticsearch-authority    = { uid = 1000, gid = 0, permissions = "0755" }
  }
}

module "access" {
  source = "../access"

  name                     = var.name
  server                   = "elasticsearch"
  vpc_id                   = var.network.vpc_id
  port                     = 9200
  clients_description      = "What speaks to Elasticsearch of ${var.name}"
  server_security_group_id = module.elasticsearch.security_group_id
  egress_description       = "HTTPS to Elasticsearch"
  tags                     = var.tags
}

module "elasticsearch" {
  source = "../service"

  name             = var.name
  service          = "elasticsearch"
  cluster          = var.cluster
  network          = var.network
  image            = local.image
  cpu              = var.cpu
  memory           = var.memory
  cpu_architecture = var.cpu_architecture
  read_only_root   = false
  open_files       = 65535
  discovery        = true
  kms_key_arn      = var.kms_key_arn
  tags             = var.tags

  environment = {
    "cluster.name"   = var.name
    "node.name"      = "elasticsearch"
    "discovery.type" = "single-node"
    # Fargate's vm.max_map_count is too small for it, and cannot be set.
    "node.store.allow_mmap"                                = "false"
    "xpack.license.self_generated.type"                    = "basic"
    "xpack.security.enabled"                               = "true"
    "xpack.security.autoconfiguration.enabled"             = "false"
    "xpack.security.http.ssl.enabled"                      = "true"
    "xpack.security.http.ssl.key"                          = "certs/server.key"
    "xpack.security.http.ssl.certificate"                  = "certs/server.crt"
    "xpack.security.http.ssl.certificate_authorities"      = "certs/ca.crt"
    "xpack.security.transport.ssl.enabled"                 = "true"
    "xpack.security.transport.ssl.key"                     = "certs/server.key"
    "xpack.security.transport.ssl.certificate"             = "certs/server.crt"
    "xpack.security.transport.ssl.certificate_authorities" = "certs/ca.crt"
    ES_JAVA_OPTS                                           = "-Xms${local.heap_mib}m -Xmx${local.heap_mib}m"
  }

  secrets = {
    ELASTIC_PASSWORD = module.password["elastic"].password_from
  }

  steps = [
    {
      name        = "certificates"
      image       = local.image
      entry_point = ["/bin/bash", "-c", file("${path.module}/certificates.sh")]
      environment = { DOMAIN = local.domain }
      mounts = {
        elasticsearch-certificates = { path = "/elasticsearch" }
        kibana-certificates        = { path = "/kibana" }
        elasticsearch-authority    = { path = "/authority" }
      }
    },
    {
      name        = "publish"
      image       = var.aws_cli_image
      after       = ["certificates"]
      entry_point = ["/bin/bash", "-c", file("${path.module}/publish.sh")]
      environment = { SECRET_ARN = aws_secretsmanager_secret.certificates.arn }
      mounts = {
        elasticsearch-certificates = { path = "/elasticsearch" }
      }
    },
  ]

  volumes = {
    elasticsearch-data         = local.volumes["elasticsearch-data"]
    elasticsearch-certificates = local.volumes["elasticsearch-certificates"]
    kibana-certificates        = local.volumes["kibana-certificates"]
    elasticsearch-authority    = local.volumes["elasticsearch-authority"]
  }

  mounts = {
    elasticsearch-data         = { path = "/usr/share/elasticsearch/data" }
    elasticsearch-certificates = { path = "/usr/share/elasticsearch/config/certs", read_only = true }
  }

  ports = [{ port = 9200 }]

  # Any answer to a request without a password means that it serves, and that it wants one.
  health_command = [
    "CMD-SHELL",
    "curl --silent --cacert config/certs/ca.crt https://localhost:9200 | grep --quiet 'missing authentication credentials'",
  ]
  health_start_seconds      = 300
  stop_timeout_seconds      = 120
  client_security_group_ids = [module.volume.client_security_group_id]

  ingress = {
    "HTTPS from clients" = { port = 9200, security_group_id = module.access.client_security_group_id }
  }

  task_statements = concat(
    [
      local.mount_statement,
      {
        actions   = ["secretsmanager:PutSecretValue"]
        resources = [aws_secretsmanager_secret.certificates.arn]
      },
      {
        actions   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        resources = [var.snapshot_bucket_arn]
      },
      {
        actions   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
        resources = ["${var.snapshot_bucket_arn}/*"]
      },
    ],
  )
}

module "kibana" {
  source = "../service"

  name             = var.name
  service          = "kibana"
  cluster          = var.cluster
  network          = var.network
  image            = "docker.elastic.co/kibana/kibana:${var.stack_version}"
  cpu              = var.kibana_cpu
  memory           = var.kibana_memory
  cpu_architecture = var.cpu_architecture
  read_only_root   = false
  discovery        = true
  kms_key_arn      = var.kms_key_arn
  tags             = var.tags

  environment = {
    SERVER_NAME                              = "kibana"
    SERVER_HOST                              = "0.0.0.0"
    SERVER_PUBLICBASEURL                     = var.kibana_url
    SERVER_SSL_ENABLED                       = "true"
    SERVER_SSL_KEY                           = "config/certs/server.key"
    SERVER_SSL_CERTIFICATE                   = "config/certs/server.crt"
    ELASTICSEARCH_HOSTS                      = local.url
    ELASTICSEARCH_USERNAME                   = "kibana_system"
    ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES = "config/certs/ca.crt"
    TELEMETRY_OPTIN                          = "false"
  }

  secrets = {
    ELASTICSEARCH_PASSWORD                    = module.password["kibana"].password_from
    XPACK_ENCRYPTEDSAVEDOBJECTS_ENCRYPTIONKEY = module.password["kibana-key"].password_from
    XPACK_SECURITY_ENCRYPTIONKEY              = module.password["kibana-key"].password_from
    XPACK_REPORTING_ENCRYPTIONKEY             = module.password["kibana-key"].password_from
  }

  steps = [{
    name        = "password"
    image       = local.image
    entry_point = ["/bin/bash", "-c", file("${path.module}/kibana-password.sh")]
    environment = { ELASTICSEARCH_URL = local.url }
    secrets = {
      ELASTIC_PASSWORD = module.password["elastic"].password_from
      KIBANA_PASSWORD  = module.password["kibana"].password_from
    }
    mounts = {
      kibana-certificates = { path = "/kibana", read_only = true }
    }
  }]

  volumes = {
    kibana-data         = local.volumes["kibana-data"]
    kibana-certificates = local.volumes["kibana-certificates"]
  }

  mounts = {
    kibana-data         = { path = "/usr/share/kibana/data" }
    kibana-certificates = { path = "/usr/share/kibana/config/certs", read_only = true }
  }

  ports                     = [{ port = 5601 }]
  health_command            = ["CMD-SHELL", "curl --silent --insecure --head https://localhost:5601/login | grep --quiet '^HTTP/1.1 [23]'"]
  health_start_seconds      = 300
  target_groups             = [for arn in var.kibana_target_group_arns : { arn = arn, port = 5601 }]
  client_security_group_ids = [module.volume.client_security_group_id, module.access.client_security_group_id]
  task_statements           = [local.mount_statement]

  ingress = {
    for purpose, group in { "HTTPS from the balancer" = var.kibana_security_group_id } : purpose => { port = 5601, security_group_id = group }
    if var.kibana_is_balanced
  }
}
