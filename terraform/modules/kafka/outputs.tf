output "bootstrap_servers" {
  description = "Brokers to begin with, for SCRAM over TLS, or for IAM"
  value       = var.iam ? aws_msk_cluster.this.bootstrap_brokers_sasl_iam : aws_msk_cluster.this.bootstrap_brokers_sasl_scram
  # A user is one only when the cluster knows the secret.
  depends_on = [aws_msk_scram_secret_association.this]
}

output "password_from" {
  description = "What a container's secret names to be given a user's password, by user"
  value       = { for name, user in module.user : name => user.password_from }
}

output "client_security_group_id" {
  description = "Group of what speaks to the brokers"
  value       = module.access.client_security_group_id
}

output "security_group_id" {
  description = "Group of the brokers"
  value       = module.access.security_group_id
}

output "cluster_arn" {
  description = "ARN of the cluster"
  value       = aws_msk_cluster.this.arn
}

output "cluster_name" {
  description = "Name of the cluster, which its metrics go by"
  value       = aws_msk_cluster.this.cluster_name
}

output "producer_statements" {
  description = "What a producer's role must allow with IAM"
  value       = flatten(module.iam[*].producer_statements)
}

output "transformer_statements" {
  description = "What the transformer's role must allow, with the step that sets up before it with IAM"
  value       = flatten(module.iam[*].transformer_statements)
}

output "region" {
  description = "Region that tokens are signed for with IAM"
  value       = one(module.iam[*].region)
}
