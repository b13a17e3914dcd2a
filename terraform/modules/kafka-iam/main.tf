# What roles need at MSK with IAM, by what each of our services does there and no more: nobody
# deletes or alters a topic, and only the step that sets up makes one.

locals {
  # arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/ID; topics and groups have their own names behind that.
  region = split(":", var.cluster_arn)[3]
  topics = "${replace(var.cluster_arn, ":cluster/", ":topic/")}/*"
  groups = "${replace(var.cluster_arn, ":cluster/", ":group/")}/"

  log_in = { actions = ["kafka-cluster:Connect", "kafka-cluster:WriteDataIdempotently"], resources = [var.cluster_arn] }
  topic  = ["kafka-cluster:DescribeTopic", "kafka-cluster:DescribeTopicDynamicConfiguration", "kafka-cluster:ReadData", "kafka-cluster:WriteData"]
  group  = ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"]
}
