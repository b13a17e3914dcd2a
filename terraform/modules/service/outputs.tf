output "service_name" {
  description = "Name of the service"
  value       = aws_ecs_service.this.name
}

output "task_definition_arn" {
  description = "ARN of the task's definition, with its revision"
  value       = aws_ecs_task_definition.this.arn
}

output "security_group_id" {
  description = "The service's own group"
  value       = aws_security_group.this.id
}

output "task_role_name" {
  description = "Name of the role of the service itself, for further policies"
  value       = aws_iam_role.task.name
}
