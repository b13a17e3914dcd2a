output "kibana_url" {
  description = "Address of Kibana, or of OpenSearch Dashboards (in the network); none where the store is elsewhere or there is no domain_name"
  value       = one(concat(module.web[*].url, module.opensearch[*].dashboards_url))
}

output "elasticsearch_url" {
  description = "Address of the store, as the transformer has it"
  value       = local.elastic_environment.ELASTICSEARCH_URL
}

output "elasticsearch_password" {
  description = "Password of the store's user (elastic, or tahoe of OpenSearch); none where it is elsewhere"
  value       = one(concat(module.elasticsearch[*].password, module.opensearch[*].password))
  sensitive   = true
}

output "elasticsearch_password_secret_arn" {
  description = "ARN of the secret with that password"
  value       = one(concat(module.elasticsearch[*].password_secret_arn, module.opensearch[*].password_secret_arn))
}

output "elasticsearch_certificates_secret_arn" {
  description = "ARN of the secret with the authority of Elasticsearch, once its first task has run"
  value       = one(module.elasticsearch[*].certificates_secret_arn)
}

output "kafka_bootstrap_servers" {
  description = "Brokers to begin with, in the network"
  value       = local.kafka_servers
}

output "kafka_outside" {
  description = "Brokers to begin with, from outside of the network, where kafka.outside is on"
  value       = one([for name in local.names.kafka : "${name}:${local.on_msk ? 9000 : 9094}"])
}

output "syslog_address" {
  description = "Name that syslog is sent to: 514 over UDP and TCP, 6514 over TLS"
  value       = one(module.syslog_balancer[*].host_name)
}

output "dashboard_url" {
  description = "Address of the dashboard in CloudWatch"
  value       = module.monitoring.dashboard_url
}

output "alarm_topic_arn" {
  description = "Topic of SNS that alarms go to"
  value       = module.monitoring.topic_arn
}

output "cluster_name" {
  description = "Cluster, for aws ecs execute-command"
  value       = module.cluster.name
}

output "snapshot_bucket" {
  description = "Bucket that Elasticsearch's snapshots go to"
  value       = module.storage.snapshot_bucket
}

output "access_log_bucket" {
  description = "Bucket of the load balancers' logs"
  value       = module.storage.access_log_bucket
}

output "vpc_id" {
  description = "Network"
  value       = module.network.vpc_id
}

output "private_subnet_ids" {
  description = "Subnets of what runs"
  value       = module.network.private_subnet_ids
}

output "nat_addresses" {
  description = "Addresses that connections to the outside come from, for the allow lists of databases elsewhere"
  value       = module.network.nat_addresses
}

output "kafka_client_security_group_ids" {
  description = "Groups that open the way to the brokers, for machines of one's own in the network"
  value       = local.kafka_groups
}

output "kms_key_arn" {
  description = "Key that everything at rest is encrypted with"
  value       = module.encryption.key_arn
}
