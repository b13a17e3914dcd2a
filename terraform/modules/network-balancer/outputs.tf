output "host_name" {
  description = "Name that machines use"
  value       = var.host_name == null ? aws_lb.this.dns_name : var.host_name
}

output "target_group_arns" {
  description = "Target groups, by listener"
  value       = { for key, group in aws_lb_target_group.this : key => group.arn }
  # A service can join only a group that a listener uses.
  depends_on = [aws_lb_listener.this]
}

output "security_group_id" {
  description = "Group of the balancer"
  value       = aws_security_group.this.id
}
