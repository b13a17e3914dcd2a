output "name" {
  description = "Name of the cluster"
  value       = aws_ecs_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster"
  value       = aws_ecs_cluster.this.arn
  # Its capacity providers can be taken away only when no service runs.
  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

output "log_group_name" {
  description = "Group of the services' logs"
  value       = aws_cloudwatch_log_group.services.name
}

output "log_group_arn" {
  description = "ARN of that group"
  value       = aws_cloudwatch_log_group.services.arn
}

output "exec_log_group_arn" {
  description = "ARN of the group of what was typed in containers"
  value       = aws_cloudwatch_log_group.exec.arn
}

output "namespace_id" {
  description = "Id of the namespace of the services' names"
  value       = aws_service_discovery_private_dns_namespace.this.id
}

output "namespace_name" {
  description = "What the services' names end in"
  value       = aws_service_discovery_private_dns_namespace.this.name
}
