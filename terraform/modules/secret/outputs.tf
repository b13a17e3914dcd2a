output "arn" {
  description = "ARN of the secret"
  value       = aws_secretsmanager_secret.this.arn
  # Who starts before there is a value fails.
  depends_on = [aws_secretsmanager_secret_version.this]
}

output "password_from" {
  description = "What a container's secret names to be given the password alone"
  value       = "${aws_secretsmanager_secret.this.arn}:password::"
  depends_on  = [aws_secretsmanager_secret_version.this]
}

output "password" {
  description = "The password, as it was drawn"
  value       = jsondecode(aws_secretsmanager_secret_version.this.secret_string).password
  sensitive   = true
}
