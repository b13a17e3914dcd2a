# TCP, UDP and TLS for machines: syslog's senders, and Kafka's clients outside of the network.

resource "aws_security_group" "this" {
  name        = "${var.name}-${var.balancer}-balancer"
  description = "Machines that speak to ${var.balancer} of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-${var.balancer}-balancer" })
}

locals {
  # A listener for both is opened for each.
  openings = merge(
    { for key, listener in var.listeners : "${key}-tcp" => { port = listener.port, protocol = "tcp" } if listener.protocol != "UDP" },
    { for key, listener in var.listeners : "${key}-udp" => { port = listener.port, protocol = "udp" } if contains(["UDP", "TCP_UDP"], listener.protocol) },
  )

  ways = merge(
    { for key, listener in var.listeners : "${listener.target_port}-tcp" => { port = listener.target_port, protocol = "tcp" }... if listener.protocol != "UDP" },
    { for key, listener in var.listeners : "${listener.target_port}-udp" => { port = listener.target_port, protocol = "udp" }... if contains(["UDP", "TCP_UDP"], listener.protocol) },
    { for key, listener in var.listeners : "${coalesce(listener.health_port, listener.target_port)}-tcp" => { port = coalesce(listener.health_port, listener.target_port), protocol = "tcp" }... },
  )
}

resource "aws_security_group_rule" "from_machines" {
  for_each = local.openings

  type              = "ingress"
  description       = each.key
  security_group_id = aws_security_group.this.id
  protocol          = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_blocks       = var.allowed_cidrs
}

resource "aws_security_group_rule" "to_targets" {
  for_each = local.ways

  type              = "egress"
  description       = each.key
  security_group_id = aws_security_group.this.id
  protocol          = each.value[0].protocol
  from_port         = each.value[0].port
  to_port           = each.value[0].port
  cidr_blocks       = var.target_cidrs
}

resource "aws_lb" "this" {
  name                             = "${var.name}-${var.balancer}"
  load_balancer_type               = "network"
  internal                         = var.internal
  subnets                          = var.subnet_ids
  security_groups                  = [aws_security_group.this.id]
  enable_cross_zone_load_balancing = true
  enable_deletion_protection       = var.deletion_protection
  tags                             = var.tags

  # Of a network balancer only the TLS listeners log.
  access_logs {
    bucket  = var.access_log_bucket
    prefix  = var.balancer
    enabled = true
  }
}

resource "aws_lb_target_group" "this" {
  for_each = var.listeners

  name                 = "${var.name}-${each.key}"
  port                 = each.value.target_port
  protocol             = each.value.target_protocol
  target_type          = "ip"
  vpc_id               = var.vpc_id
  deregistration_delay = "30"
  # The sender's address is what syslog's events are known by.
  preserve_client_ip = each.value.preserve_client_ip ? "true" : "false"
  tags               = var.tags

  health_check {
    protocol            = each.value.health_path == null ? "TCP" : "HTTP"
    port                = each.value.health_port == null ? "traffic-port" : tostring(each.value.health_port)
    path                = each.value.health_path
    interval            = 10
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "this" {
  for_each = var.listeners

  load_balancer_arn = aws_lb.this.arn
  port              = each.value.port
  protocol          = each.value.protocol
  certificate_arn   = each.value.protocol == "TLS" ? var.certificate_arn : null
  ssl_policy        = each.value.protocol == "TLS" ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null
  tags              = var.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[each.key].arn
  }
}

resource "aws_lb_target_group_attachment" "this" {
  for_each = var.attachments

  target_group_arn = aws_lb_target_group.this[each.value.listener].arn
  target_id        = each.value.address
  port             = each.value.port
}

resource "aws_route53_record" "this" {
  count = var.host_name == null ? 0 : 1

  zone_id = var.zone_id
  name    = var.host_name
  type    = "A"

  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = false
  }
}
