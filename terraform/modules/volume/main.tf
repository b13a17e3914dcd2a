# One file system on EFS, in all zones, encrypted; each use has a folder of its own.

resource "aws_efs_file_system" "this" {
  creation_token   = "${var.name}-${var.volume}"
  encrypted        = true
  kms_key_id       = var.kms_key_arn
  performance_mode = "generalPurpose"
  throughput_mode  = "elastic"
  tags             = merge(var.tags, { Name = "${var.name}-${var.volume}" })
}

module "access" {
  source = "../access"

  name                = var.name
  server              = "${var.volume}-volume"
  vpc_id              = var.network.vpc_id
  port                = 2049
  clients_description = "What mounts the volume ${var.volume} of ${var.name}"
  server_description  = "The volume ${var.volume} of ${var.name}"
  ingress_description = "NFS from clients of the volume"
  egress_description  = "NFS to the volume"
  tags                = var.tags
}

resource "aws_efs_mount_target" "this" {
  count = var.subnet_count

  file_system_id  = aws_efs_file_system.this.id
  subnet_id       = var.network.subnet_ids[count.index]
  security_groups = [module.access.security_group_id]
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
