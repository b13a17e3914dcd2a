output "bucket" {
  description = "Name of the bucket, for `backend \"s3\"`"
  value       = aws_s3_bucket.this.id
}
