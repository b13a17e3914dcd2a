# HTTPS for people: 443 with our certificate, and a redirect from 80.

resource "aws_security_group" "this" {
  name        = "${var.name}-web"
  description = "People who look at ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-web" })
}

resource "aws_security_group_rule" "from_people" {
  for_each = { http = 80, https = 443 }

  type              = "ingress"
  description       = each.key
  security_group_id = aws_security_group.this.id
  protocol          = "tcp"
  from_port         = each.value
  to_port           = each.value
  cidr_blocks       = var.allowed_cidrs
}

resource "aws_security_group_rule" "to_targets" {
  type              = "egress"
  description       = "HTTPS to the service"
  security_group_id = aws_security_group.this.id
  protocol          = "tcp"
  from_port         = var.target_port
  to_port           = var.target_port
  cidr_blocks       = var.target_cidrs
}

resource "aws_lb" "this" {
  name                       = "${var.name}-web"
  load_balancer_type         = "application"
  internal                   = var.internal
  subnets                    = var.subnet_ids
  security_groups            = [aws_security_group.this.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  tags                       = var.tags

  access_logs {
    bucket  = var.access_log_bucket
    prefix  = "web"
    enabled = true
  }
}

resource "aws_lb_target_group" "this" {
  name                 = "${var.name}-web"
  port                 = var.target_port
  protocol             = "HTTPS"
  target_type          = "ip"
  vpc_id               = var.vpc_id
  deregistration_delay = "30"
  tags                 = var.tags

  health_check {
    protocol            = "HTTPS"
    path                = var.health_path
    matcher             = "200-399"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 4
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn
  tags              = var.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"
  tags              = var.tags

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_route53_record" "this" {
  zone_id = var.zone_id
  name    = var.host_name
  type    = "A"

  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = true
  }
}
