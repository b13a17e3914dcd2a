output "cluster_arn" {
  description = "ARN of the cluster; `aws kafka get-bootstrap-brokers` says its address"
  value       = aws_msk_serverless_cluster.this.arn
}

output "client_security_group_id" {
  description = "Group of what speaks to it"
  value       = aws_security_group.this.id
}

output "client_statements" {
  description = "What a client's role must allow, as the service module takes it"
  value = [
    {
      actions   = ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster", "kafka-cluster:WriteDataIdempotently"]
      resources = [aws_msk_serverless_cluster.this.arn]
    },
    {
      actions   = ["kafka-cluster:*Topic*", "kafka-cluster:ReadData", "kafka-cluster:WriteData", "kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"]
      resources = ["${replace(aws_msk_serverless_cluster.this.arn, ":cluster/", ":topic/")}/*", "${replace(aws_msk_serverless_cluster.this.arn, ":cluster/", ":group/")}/*"]
    },
  ]
}
