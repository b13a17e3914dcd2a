# What the binaries are told.

locals {
  kafka_servers = concat(
    module.kafka[*].bootstrap_servers,
    module.kafka_serverless[*].bootstrap_servers,
    module.kafka_task[*].bootstrap_servers,
    var.kafka.type == "external" ? [var.kafka.bootstrap_servers] : [],
  )[0]

  kafka_environment = merge(
    {
      KAFKA_BOOTSTRAP_SERVERS = local.kafka_servers
      KAFKA_SECURITY_PROTOCOL = replace(lower(var.kafka.type == "external" ? var.kafka.security_protocol : "sasl_ssl"), "_", "-")
    },
    local.kafka_has_users ? {
      KAFKA_SASL_MECHANISM = local.on_msk ? "scram-sha-512" : local.on_kafka_task ? "plain" : lower(var.kafka.sasl_mechanism)
      KAFKA_USERNAME       = var.kafka.type == "external" ? var.kafka.username : "tahoe"
    } : {},
    local.kafka_has_roles ? {
      KAFKA_SASL_MECHANISM = "aws-msk-iam"
      KAFKA_AWS_REGION     = concat(module.kafka[*].region, module.kafka_serverless[*].region)[0]
    } : {},
    local.on_serverless ? { KAFKA_RECORD_BYTES_MAX = tostring(local.record_bytes_max) } : {},
    local.on_kafka_task ? { KAFKA_CA_FILE = "/kafka/ca.crt" } : {},
  )

  # By their tasks' roles, or by a user and a password, or as anybody.
  kafka_has_roles = local.on_serverless || var.kafka.iam
  kafka_has_users = !local.kafka_has_roles && (var.kafka.type != "external" || startswith(lower(var.kafka.security_protocol), "sasl"))

  kafka_secrets = local.kafka_has_users ? {
    KAFKA_PASSWORD = concat(
      [for kafka in module.kafka : kafka.password_from["tahoe"]],
      module.kafka_task[*].password_from,
      var.kafka.type == "external" ? [var.kafka.password_secret_arn] : [],
    )[0]
  } : {}

  elastic_environment = merge(
    {
      ELASTICSEARCH_URL = concat(
        module.elasticsearch[*].url,
        module.opensearch[*].url,
        var.elasticsearch.type == "external" ? [var.elasticsearch.url] : [],
      )[0]
    },
    local.elastic_has_key ? {} : { ELASTIC_USERNAME = local.on_elastic_task ? "elastic" : local.on_opensearch ? "tahoe" : var.elasticsearch.username },
    local.on_elastic_task ? { ELASTIC_CA_FILE = "/elasticsearch/ca.crt" } : {},
  )

  elastic_has_key = var.elasticsearch.type == "external" && var.elasticsearch.api_key_secret_arn != null

  elastic_secrets = local.elastic_has_key ? { ELASTIC_API_KEY = var.elasticsearch.api_key_secret_arn } : {
    ELASTIC_PASSWORD = concat(
      module.elasticsearch[*].password_from,
      module.opensearch[*].password_from,
      var.elasticsearch.type == "external" ? [var.elasticsearch.password_secret_arn] : [],
    )[0]
  }

  process_environment = {
    TAHOE_METRICS       = "127.0.0.1:9100"
    TAHOE_LOG_FORMAT    = "json"
    TAHOE_EMF_NAMESPACE = local.metric_namespace
  }

  # Folders with the authorities that the binaries trust beside the public ones.
  kafka_volumes   = local.on_kafka_task ? { kafka-authority = module.kafka_task[0].authority } : {}
  kafka_mounts    = local.on_kafka_task ? { kafka-authority = { path = "/kafka", read_only = true } } : {}
  elastic_volumes = local.on_elastic_task ? { elasticsearch-authority = module.elasticsearch[0].authority } : {}
  elastic_mounts  = local.on_elastic_task ? { elasticsearch-authority = { path = "/elasticsearch", read_only = true } } : {}

  kafka_groups = concat(
    module.kafka[*].client_security_group_id,
    module.kafka_serverless[*].client_security_group_id,
    flatten(module.kafka_task[*].client_security_group_ids),
  )

  elastic_groups = concat(
    flatten(module.elasticsearch[*].client_security_group_ids),
    flatten(module.opensearch[*].client_security_group_ids),
  )

  elastic_statements = flatten(module.elasticsearch[*].client_statements)

  producer_statements = concat(
    flatten(module.kafka_task[*].client_statements),
    flatten(module.kafka[*].producer_statements),
    flatten(module.kafka_serverless[*].producer_statements),
  )

  transformer_statements = concat(
    flatten(module.kafka_task[*].client_statements),
    flatten(module.kafka[*].transformer_statements),
    flatten(module.kafka_serverless[*].transformer_statements),
  )

  # What is elsewhere is reached by addresses, not by groups.
  kafka_egress   = { for port in(var.kafka.type == "external" ? var.kafka.ports : []) : "Kafka on ${port}" => { port = port, cidrs = var.kafka.cidrs } if port != 443 }
  elastic_egress = { for port in(var.elasticsearch.type == "external" ? [var.elasticsearch.port] : []) : "Elasticsearch" => { port = port, cidrs = var.elasticsearch.cidrs } if port != 443 }

  # What every producer of the binary must be told here, which its own environment may change.
  binary_environment = {
    laravel  = { TAHOE_START_AT = "beginning" }
    file     = { TAHOE_START_AT = "beginning" }
    mysql    = {}
    postgres = {}
    mongodb  = {}
    syslog = merge(
      { TAHOE_NO_SYSTEM = "true", TAHOE_SYSLOG = length(local.names.syslog) > 0 ? "0.0.0.0:5514,tcp://0.0.0.0:5515" : "0.0.0.0:5514" },
      local.takes_syslog ? { TAHOE_METRICS = "0.0.0.0:9100" } : {},
    )
  }

  binaries = { for name, producer in var.producers : name => coalesce(producer.binary, name) }
}
