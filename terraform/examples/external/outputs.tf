output "dashboards_url" {
  description = "OpenSearch Dashboards, in the network"
  value       = module.tahoe.kibana_url
}

output "elasticsearch_password" {
  description = "Password of user tahoe of OpenSearch"
  value       = module.tahoe.elasticsearch_password
  sensitive   = true
}

output "dashboard_url" {
  description = "Dashboard in CloudWatch"
  value       = module.tahoe.dashboard_url
}
