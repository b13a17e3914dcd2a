output "kibana_url" {
  description = "Kibana"
  value       = module.tahoe.kibana_url
}

output "name_servers" {
  description = "Servers that the domain is to be delegated to"
  value       = aws_route53_zone.this.name_servers
}

output "syslog_address" {
  description = "Where syslog is sent to"
  value       = module.tahoe.syslog_address
}

output "dashboard_url" {
  description = "Dashboard in CloudWatch"
  value       = module.tahoe.dashboard_url
}

output "elasticsearch_password" {
  description = "Password of user elastic"
  value       = module.tahoe.elasticsearch_password
  sensitive   = true
}
