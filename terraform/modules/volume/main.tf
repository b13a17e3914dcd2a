# One file system on EFS, in all zones, encrypted; each use has a folder of its own.

resource "aws_efs_file_system" "this" {
  creation_token   = "${var.name}-${var.volume}"
  encrypted        = true
  kms_key_id       = var.kms_key_arn
  performance_mode = "generalPurpose"
  throughput_mode  = "elastic"
  tags             = merge(var.tags, { Name = "${var.name}-${var.volume}" })
}

resource "aws_security_group" "clients" {
  name        = "${var.name}-${var.volume}-volume-clients"
  description = "What mounts the volume ${var.volume} of ${var.name}"
  vpc_id      = var.network.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-${var.volume}-volume-clients" })
}

resource "aws_security_group" "this" {
  name        = "${var.name}-${var.volume}-volume"
  description = "The volume ${var.volume} of ${var.name}"
  vpc_id      = var.network.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-${var.volume}-volume" })
}

resource "aws_security_group_rule" "from_clients" {
  type                     = "ingress"
  description              = "NFS from the volume's clients"
  security_group_id        = aws_security_group.this.id
  protocol                 = "tcp"
  from_port                = 2049
  to_port                  = 2049
  source_security_group_id = aws_security_group.clients.id
}

resource "aws_security_group_rule" "to_volume" {
  type                     = "egress"
  description              = "NFS to the volume"
  security_group_id        = aws_security_group.clients.id
  protocol                 = "tcp"
  from_port                = 2049
  to_port                  = 2049
  source_security_group_id = aws_security_group.this.id
}

resource "aws_efs_mount_target" "this" {
  count = var.subnet_count

  file_system_id  = aws_efs_file_system.this.id
  subnet_id       = var.network.subnet_ids[count.index]
  security_groups = [aws_security_group.this.id]
}

resource "aws_efs_access_point" "this" {
  for_each = var.folders

  file_system_id = aws_efs_file_system.this.id
  tags           = merge(var.tags, { Name = "${var.name}-${each.key}" })

  posix_user {
    uid = each.value.uid
    gid = each.value.gid
  }

  root_directory {
    path = "/${each.key}"

    creation_info {
      owner_uid   = each.value.uid
      owner_gid   = each.value.gid
      permissions = each.value.permissions
    }
  }
}
