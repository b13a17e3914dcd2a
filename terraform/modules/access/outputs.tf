output "client_security_group_id" {
  description = "Group of the clients, once the rules are there"
  value       = aws_security_group.clients.id
  depends_on  = [aws_security_group_rule.from_clients, aws_security_group_rule.to_server]
}

output "security_group_id" {
  description = "Group of the server, its own or the one that it had"
  value       = local.security_group_id
}
