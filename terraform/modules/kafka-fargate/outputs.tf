output "bootstrap_servers" {
  description = "The broker, for SASL over TLS"
  value       = "${local.broker_name}:9092"
}

output "password_from" {
  description = "What a container's secret names to be given the password of user tahoe"
  value       = module.password.password_from
}

output "authority" {
  description = "What a task needs to mount the folder with ca.crt, which clients trust"
  value       = module.volume.volumes["kafka-authority"]
}

output "client_security_group_ids" {
  description = "Groups of what speaks to the broker and mounts that folder"
  value       = [module.access.client_security_group_id, module.volume.client_security_group_id]
}

output "client_statements" {
  description = "What a client's role must allow"
  value = [{
    actions   = ["elasticfilesystem:ClientMount"]
    resources = [module.volume.file_system_arn]
  }]
}
