# What wakes somebody up, and the page that is looked at then.

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  # Each: what is measured, over how many minutes, and when it is too much.
  alarms = merge(
    {
      lag = {
        description = "The transformer is behind by more than ${var.lag_seconds} s"
        namespace   = var.metric_namespace
        metric      = "ConsumerLagSeconds"
        statistic   = "Maximum"
        comparison  = "GreaterThanThreshold"
        threshold   = var.lag_seconds
        periods     = 5
        missing     = "notBreaching"
        dimensions  = { Service = "tahoe-transformer" }
      }
      transformer-silent = {
        description = "No transformer has said anything for ten minutes"
        namespace   = var.metric_namespace
        metric      = "RecordsStored"
        statistic   = "SampleCount"
        comparison  = "LessThanThreshold"
        threshold   = 1
        periods     = 10
        missing     = "breaching"
        dimensions  = { Service = "tahoe-transformer" }
      }
      dead-letters = {
        description = "Records are rejected: tahoe dlq list says why"
        namespace   = var.metric_namespace
        metric      = "RecordsDeadLettered"
        statistic   = "Sum"
        comparison  = "GreaterThanThreshold"
        threshold   = var.dead_letters_per_minute
        periods     = 5
        missing     = "notBreaching"
        dimensions  = { Service = "tahoe-transformer" }
      }
    },
    { for service in var.services : "${service}-stopped" => {
      description = "No task of ${service} runs"
      namespace   = "ECS/ContainerInsights"
      metric      = "RunningTaskCount"
      statistic   = "Minimum"
      comparison  = "LessThanThreshold"
      threshold   = 1
      periods     = 5
      missing     = "breaching"
      dimensions  = { ClusterName = var.cluster_name, ServiceName = service }
    } },
    { for cluster in var.kafka_cluster_names : "kafka-disk" => {
      description = "A broker's disk is fuller than 80 %"
      namespace   = "AWS/Kafka"
      metric      = "KafkaDataLogsDiskUsed"
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = 80
      periods     = 5
      missing     = "notBreaching"
      dimensions  = { "Cluster Name" = cluster }
    } },
    { for domain in var.opensearch_domain_names : "opensearch-disk" => {
      description = "A node of OpenSearch has less than 10 GB left"
      namespace   = "AWS/ES"
      metric      = "FreeStorageSpace"
      statistic   = "Minimum"
      comparison  = "LessThanThreshold"
      threshold   = 10240
      periods     = 5
      missing     = "notBreaching"
      dimensions  = { DomainName = domain, ClientId = data.aws_caller_identity.current.account_id }
    } },
  )

  widgets = concat(
    [
      {
        title   = "Seconds behind"
        metrics = [[var.metric_namespace, "ConsumerLagSeconds", "Service", "tahoe-transformer", { stat = "Maximum" }]]
      },
      {
        title = "Records stored and rejected"
        metrics = [
          [var.metric_namespace, "RecordsStored", "Service", "tahoe-transformer", { stat = "Sum" }],
          [var.metric_namespace, "RecordsDeadLettered", "Service", "tahoe-transformer", { stat = "Sum" }],
        ]
      },
      {
        title   = "CPU in percent"
        metrics = [for service in var.services : ["AWS/ECS", "CPUUtilization", "ClusterName", var.cluster_name, "ServiceName", service, { stat = "Average" }]]
      },
      {
        title   = "Memory in percent"
        metrics = [for service in var.services : ["AWS/ECS", "MemoryUtilization", "ClusterName", var.cluster_name, "ServiceName", service, { stat = "Maximum" }]]
      },
      {
        title   = "Tasks"
        metrics = [for service in var.services : ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", var.cluster_name, "ServiceName", service, { stat = "Average" }]]
      },
      {
        title   = "Records that producers read"
        metrics = [for binary in var.producer_binaries : [var.metric_namespace, "RecordsAppended", "Service", "tahoe-${binary}", { stat = "Sum" }]]
      },
      {
        title   = "Seconds that producers are behind"
        metrics = [for binary in var.producer_binaries : [var.metric_namespace, "SourceLagSeconds", "Service", "tahoe-${binary}", { stat = "Maximum" }]]
      },
    ],
    [for cluster in var.kafka_cluster_names : {
      title   = "Kafka's disks in percent"
      metrics = [["AWS/Kafka", "KafkaDataLogsDiskUsed", "Cluster Name", cluster, { stat = "Maximum" }]]
    }],
    [for domain in var.opensearch_domain_names : {
      title   = "OpenSearch: free MB"
      metrics = [["AWS/ES", "FreeStorageSpace", "DomainName", domain, "ClientId", data.aws_caller_identity.current.account_id, { stat = "Minimum" }]]
    }],
  )
}

resource "aws_sns_topic" "this" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_subscription" "mail" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  dimensions          = each.value.dimensions
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
  tags                = var.tags
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    # A widget without metrics is refused, and so would be the whole page.
    widgets = [for index, widget in [for widget in local.widgets : widget if length(widget.metrics) > 0] : {
      type   = "metric"
      x      = index % 2 * 12
      y      = floor(index / 2) * 6
      width  = 12
      height = 6
      properties = {
        title   = widget.title
        region  = data.aws_region.current.name
        view    = "timeSeries"
        period  = 60
        metrics = widget.metrics
      }
    }]
  })
}
