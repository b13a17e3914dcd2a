output "url" {
  description = "Address of Elasticsearch in the network"
  value       = local.url
}

output "password_from" {
  description = "What a container's secret names to be given the password of user elastic"
  value       = module.password["elastic"].password_from
}

output "password_secret_arn" {
  description = "ARN of the secret with that password"
  value       = module.password["elastic"].arn
}

output "password" {
  description = "That password"
  value       = module.password["elastic"].password
  sensitive   = true
}

output "certificates_secret_arn" {
  description = "ARN of the secret with authority, certificates and keys"
  value       = aws_secretsmanager_secret.certificates.arn
}

output "authority" {
  description = "What a task needs to mount the folder with ca.crt, which clients trust"
  value       = local.volumes["elasticsearch-authority"]
}

output "client_security_group_ids" {
  description = "Groups of what speaks to Elasticsearch and mounts that folder"
  value       = [module.access.client_security_group_id, module.volume.client_security_group_id]
}

output "client_statements" {
  description = "What a client's role must allow"
  value = [{
    actions   = ["elasticfilesystem:ClientMount"]
    resources = [module.volume.file_system_arn]
  }]
}
