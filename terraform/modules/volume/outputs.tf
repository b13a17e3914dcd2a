output "volumes" {
  description = "What a task needs to mount each folder, by the folder's name"
  value       = { for folder, point in aws_efs_access_point.this : folder => { file_system_id = aws_efs_file_system.this.id, access_point_id = point.id } }
  # A task that starts where nothing can be mounted yet fails.
  depends_on = [aws_efs_mount_target.this, module.access]
}

output "file_system_arn" {
  description = "ARN of the file system"
  value       = aws_efs_file_system.this.arn
}

output "access_point_arns" {
  description = "ARNs of the folders' access points, by folder"
  value       = { for folder, point in aws_efs_access_point.this : folder => point.arn }
}

output "client_security_group_id" {
  description = "Group of what mounts it"
  value       = module.access.client_security_group_id
}
