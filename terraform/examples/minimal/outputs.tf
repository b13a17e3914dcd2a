output "syslog_address" {
  description = "Where machines in the network send syslog to"
  value       = module.tahoe.syslog_address
}

output "dashboard_url" {
  description = "Dashboard in CloudWatch"
  value       = module.tahoe.dashboard_url
}

output "kibana_command" {
  description = "Brings Kibana to https://localhost:5601; TASK and RUNTIME are of `aws ecs list-tasks` and `describe-tasks`"
  value       = "aws ssm start-session --target ecs:${module.tahoe.cluster_name}_TASK_RUNTIME --document-name AWS-StartPortForwardingSession --parameters portNumber=5601,localPortNumber=5601"
}

output "elasticsearch_password" {
  description = "Password of user elastic"
  value       = module.tahoe.elasticsearch_password
  sensitive   = true
}
