output "access_log_bucket" {
  description = "Name of the bucket of access logs"
  value       = aws_s3_bucket.this["access-logs"].id
  # A balancer tries to write there when it is made.
  depends_on = [aws_s3_bucket_policy.this, aws_s3_bucket_ownership_controls.this, aws_s3_bucket_server_side_encryption_configuration.this]
}

output "snapshot_bucket" {
  description = "Name of the bucket of snapshots"
  value       = aws_s3_bucket.this["snapshots"].id
}

output "snapshot_bucket_arn" {
  description = "ARN of that bucket"
  value       = aws_s3_bucket.this["snapshots"].arn
}
