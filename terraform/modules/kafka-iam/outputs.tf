output "producer_statements" {
  description = "What a producer's role must allow: it reads what it has written, and owns its sources by groups of the names tahoe.…"
  value = [
    local.log_in,
    { actions = local.topic, resources = [local.topics] },
    { actions = local.group, resources = ["${local.groups}tahoe.*"] },
  ]
}

output "transformer_statements" {
  description = "What the transformer's role must allow, with the step that sets up before it"
  value = [
    local.log_in,
    { actions = concat(["kafka-cluster:CreateTopic"], local.topic), resources = [local.topics] },
    { actions = local.group, resources = ["${local.groups}*"] },
  ]
}

output "region" {
  description = "Region that tokens are signed for"
  value       = local.region
}
