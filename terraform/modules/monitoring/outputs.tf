output "dashboard_url" {
  description = "Address of the dashboard"
  value       = "https://${data.aws_region.current.name}.console.aws.amazon.com/cloudwatch/home?region=${data.aws_region.current.name}#dashboards:name=${aws_cloudwatch_dashboard.this.dashboard_name}"
}

output "topic_arn" {
  description = "Topic of SNS that alarms go to"
  value       = aws_sns_topic.this.arn
}
