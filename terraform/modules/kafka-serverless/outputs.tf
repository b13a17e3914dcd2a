output "bootstrap_servers" {
  description = "Brokers to begin with, for IAM over TLS"
  value       = data.aws_msk_bootstrap_brokers.this.bootstrap_brokers_sasl_iam
}

output "region" {
  description = "Region that tokens are signed for"
  value       = module.iam.region
}

output "cluster_arn" {
  description = "ARN of the cluster"
  value       = aws_msk_serverless_cluster.this.arn
}

output "client_security_group_id" {
  description = "Group of what speaks to it"
  value       = aws_security_group.this.id
  depends_on  = [aws_security_group_rule.within]
}

output "producer_statements" {
  description = "What a producer's role must allow"
  value       = module.iam.producer_statements
}

output "transformer_statements" {
  description = "What the transformer's role must allow, with the step that sets up before it"
  value       = module.iam.transformer_statements
}
