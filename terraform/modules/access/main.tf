# Who may speak to a server, by membership: whatever is in the group of its clients, and nothing else.

locals {
  has_own_group     = var.server_description != null
  security_group_id = local.has_own_group ? aws_security_group.server[0].id : var.server_security_group_id
}

resource "aws_security_group" "clients" {
  name        = "${var.name}-${var.server}-clients"
  description = var.clients_description
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-${var.server}-clients" })
}

resource "aws_security_group" "server" {
  count = local.has_own_group ? 1 : 0

  name        = "${var.name}-${var.server}"
  description = var.server_description
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-${var.server}" })
}

resource "aws_security_group_rule" "from_clients" {
  count = local.has_own_group ? 1 : 0

  type                     = "ingress"
  description              = var.ingress_description
  security_group_id        = local.security_group_id
  protocol                 = "tcp"
  from_port                = var.port
  to_port                  = var.port
  source_security_group_id = aws_security_group.clients.id
}

resource "aws_security_group_rule" "to_server" {
  count = var.egress_description == null ? 0 : 1

  type                     = "egress"
  description              = var.egress_description
  security_group_id        = aws_security_group.clients.id
  protocol                 = "tcp"
  from_port                = var.port
  to_port                  = var.port
  source_security_group_id = local.security_group_id
}
