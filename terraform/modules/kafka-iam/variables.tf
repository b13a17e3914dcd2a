variable "cluster_arn" {
  description = "ARN of the cluster of MSK"
  type        = string
}
