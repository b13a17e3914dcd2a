output "url" {
  description = "Address that people use"
  value       = "https://${var.host_name}"
}

output "target_group_arn" {
  description = "Target group that the service joins"
  value       = aws_lb_target_group.this.arn
  # A service can join only a group that a listener uses.
  depends_on = [aws_lb_listener.https]
}

output "security_group_id" {
  description = "Group of the balancer"
  value       = aws_security_group.this.id
}

output "arn_suffix" {
  description = "What the balancer's metrics go by"
  value       = aws_lb.this.arn_suffix
}
