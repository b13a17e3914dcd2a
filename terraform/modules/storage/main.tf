# Two buckets: what load balancers log, and what Elasticsearch keeps of itself for a bad day.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  arn     = "arn:${data.aws_partition.current.partition}:s3:::"

  # Load balancers cannot write to a bucket that is encrypted with a key of ours.
  buckets = {
    access-logs = { algorithm = "AES256", key = null, days = var.access_log_days }
    snapshots   = { algorithm = "aws:kms", key = var.kms_key_arn, days = 0 }
  }

  names = { for purpose in keys(local.buckets) : purpose => "${var.name}-${purpose}-${local.account}" }
}

resource "aws_s3_bucket" "this" {
  for_each = local.buckets

  bucket        = local.names[each.key]
  force_destroy = each.key == "access-logs" || !var.keep_snapshots
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.buckets

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    bucket_key_enabled = each.value.key != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = each.value.algorithm
      kms_master_key_id = each.value.key
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "tidy"
    status = "Enabled"

    filter {
      prefix = ""
    }

    dynamic "expiration" {
      for_each = each.value.days > 0 ? [each.value.days] : []

      content {
        days = expiration.value
      }
    }

    noncurrent_version_expiration {
      noncurrent_days = 7
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 3
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "OverTlsOnly"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "s3:*"
        Resource  = ["${local.arn}${local.names[each.key]}", "${local.arn}${local.names[each.key]}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      [for name in [local.names[each.key]] : {
        Sid       = "ApplicationLoadBalancers"
        Effect    = "Allow"
        Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${local.arn}${name}/*/AWSLogs/${local.account}/*"
      } if each.key == "access-logs"],
      [for name in [local.names[each.key]] : {
        Sid       = "NetworkLoadBalancers"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${local.arn}${name}/*/AWSLogs/${local.account}/*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      } if each.key == "access-logs"],
      [for name in [local.names[each.key]] : {
        Sid       = "NetworkLoadBalancersLook"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = "s3:GetBucketAcl"
        Resource  = "${local.arn}${name}"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      } if each.key == "access-logs"],
    )
  })

  depends_on = [aws_s3_bucket_public_access_block.this]
}
