output "url" {
  description = "Address in the network"
  value       = "https://${aws_opensearch_domain.this.endpoint}"
}

output "dashboards_url" {
  description = "Address of OpenSearch Dashboards in the network"
  value       = "https://${aws_opensearch_domain.this.endpoint}/_dashboards"
}

output "password_from" {
  description = "What a container's secret names to be given the password of user tahoe"
  value       = module.password.password_from
}

output "password_secret_arn" {
  description = "ARN of the secret with that password"
  value       = module.password.arn
}

output "password" {
  description = "That password"
  value       = module.password.password
  sensitive   = true
}

output "client_security_group_ids" {
  description = "Groups of what speaks to it"
  value       = [module.access.client_security_group_id]
}

output "domain_name" {
  description = "Name of the domain, which its metrics go by"
  value       = aws_opensearch_domain.this.domain_name
}
