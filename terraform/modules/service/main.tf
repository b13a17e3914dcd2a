# One service on Fargate: its task, its two roles, its group, and, where asked, its scaling and name.

data "aws_region" "current" {}

locals {
  full_name = "${var.name}-${var.service}"

  # An ARN of a secret may go on with the member of its JSON that is meant.
  values      = concat(values(var.secrets), flatten([for step in var.steps : values(step.secrets)]))
  secret_arns = distinct([for value in local.values : join(":", slice(split(":", value), 0, 7))])

  # Exec's agent writes there, whatever the root file system is.
  exec_mounts = { exec-lib = "/var/lib/amazon", exec-log = "/var/log/amazon" }

  logging = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = var.cluster.log_group_name
      awslogs-region        = data.aws_region.current.name
      awslogs-stream-prefix = var.service
      # A log that takes no more shall not stop what flows.
      mode            = "non-blocking"
      max-buffer-size = "4m"
    }
  }

  steps = [for step in var.steps : {
    name             = step.name
    image            = step.image
    essential        = false
    user             = step.user
    entryPoint       = step.entry_point
    command          = step.command
    environment      = [for name, value in step.environment : { name = name, value = value }]
    secrets          = [for name, arn in step.secrets : { name = name, valueFrom = arn }]
    dependsOn        = [for before in step.after : { containerName = before, condition = "SUCCESS" }]
    mountPoints      = [for name, mount in step.mounts : { sourceVolume = name, containerPath = mount.path, readOnly = mount.read_only }]
    logConfiguration = local.logging
  }]

  main = {
    name                   = var.service
    image                  = var.image
    essential              = true
    user                   = var.user
    entryPoint             = var.entry_point
    command                = var.command
    readonlyRootFilesystem = var.read_only_root
    stopTimeout            = var.stop_timeout_seconds
    environment            = [for name, value in var.environment : { name = name, value = value }]
    secrets                = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
    portMappings           = [for port in var.ports : { containerPort = port.port, hostPort = port.port, protocol = port.protocol }]
    dependsOn              = [for step in var.steps : { containerName = step.name, condition = "SUCCESS" }]
    ulimits                = var.open_files == null ? [] : [{ name = "nofile", softLimit = var.open_files, hardLimit = var.open_files }]
    linuxParameters        = { initProcessEnabled = true }
    logConfiguration       = local.logging
    healthCheck = {
      command     = var.health_command
      interval    = 15
      timeout     = 5
      retries     = 4
      startPeriod = var.health_start_seconds
    }
    mountPoints = concat(
      [for name, mount in var.mounts : { sourceVolume = name, containerPath = mount.path, readOnly = mount.read_only }],
      [for name, path in local.exec_mounts : { sourceVolume = name, containerPath = path, readOnly = false }],
    )
  }

  # As ECS gives them back: what is not set is not there, so that nothing is compared with a default.
  containers = [for container in concat([local.main], local.steps) : {
    for name, value in container : name => value if value != null && try(length(value), 1) > 0
  }]

  task_statements = concat(
    [
      {
        actions   = ["ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"]
        resources = ["*"]
      },
      {
        actions   = ["logs:DescribeLogGroups"]
        resources = ["*"]
      },
      {
        actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        resources = ["${var.cluster.exec_log_group_arn}:*"]
      },
      {
        actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
        resources = [var.kms_key_arn]
      },
    ],
    var.task_statements,
  )

  assumed_by_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role" "execution" {
  name               = "${local.full_name}-start"
  description        = "Fetches the image and the secrets of ${local.full_name}, and writes its log"
  assume_role_policy = local.assumed_by_tasks
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Effect   = "Allow"
          Action   = ["ecr:GetAuthorizationToken"]
          Resource = ["*"]
        },
        {
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = [var.image_repositories_arn]
        },
        {
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["${var.cluster.log_group_arn}:*"]
        },
      ],
      [for arns in [local.secret_arns] : {
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = arns
      } if length(local.values) > 0],
      [for arns in [concat([var.kms_key_arn], var.secret_kms_key_arns)] : {
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = arns
      } if length(local.values) > 0],
    )
  })
}

resource "aws_iam_role" "task" {
  name               = "${local.full_name}-task"
  description        = "What ${local.full_name} itself may do"
  assume_role_policy = local.assumed_by_tasks
  tags               = var.tags
}

resource "aws_iam_role_policy" "task" {
  name = "run"
  role = aws_iam_role.task.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in local.task_statements : { Effect = "Allow", Action = statement.actions, Resource = statement.resources }]
  })
}

resource "aws_security_group" "this" {
  name        = local.full_name
  description = "Connections of ${local.full_name}"
  vpc_id      = var.network.vpc_id
  tags        = merge(var.tags, { Name = local.full_name })
}

resource "aws_security_group_rule" "https" {
  type              = "egress"
  description       = "Images, secrets and logs"
  security_group_id = aws_security_group.this.id
  protocol          = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_blocks       = ["0.0.0.0/0"]
}

resource "aws_security_group_rule" "egress" {
  for_each = var.egress

  type              = "egress"
  description       = each.key
  security_group_id = aws_security_group.this.id
  protocol          = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_blocks       = each.value.cidrs
}

resource "aws_security_group_rule" "ingress" {
  for_each = var.ingress

  type                     = "ingress"
  description              = each.key
  security_group_id        = aws_security_group.this.id
  protocol                 = each.value.protocol
  from_port                = each.value.port
  to_port                  = each.value.port
  cidr_blocks              = each.value.cidrs
  source_security_group_id = each.value.security_group_id
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.full_name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  container_definitions    = jsonencode(local.containers)
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  dynamic "volume" {
    for_each = local.exec_mounts

    content {
      name = volume.key
    }
  }

  dynamic "volume" {
    for_each = var.volumes

    content {
      name = volume.key

      efs_volume_configuration {
        file_system_id     = volume.value.file_system_id
        transit_encryption = "ENABLED"

        authorization_config {
          access_point_id = volume.value.access_point_id
          iam             = "ENABLED"
        }
      }
    }
  }
}

resource "aws_service_discovery_service" "this" {
  count = var.discovery ? 1 : 0

  name          = var.service
  force_destroy = true
  tags          = var.tags

  dns_config {
    namespace_id   = var.cluster.namespace_id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

resource "aws_ecs_service" "this" {
  name                               = var.service
  cluster                            = var.cluster.arn
  task_definition                    = aws_ecs_task_definition.this.arn
  launch_type                        = "FARGATE"
  desired_count                      = var.desired_count
  deployment_maximum_percent         = var.maximum_percent
  deployment_minimum_healthy_percent = var.maximum_percent == 100 ? 0 : 100
  health_check_grace_period_seconds  = length(var.target_groups) > 0 ? var.health_start_seconds : null
  enable_execute_command             = true
  propagate_tags                     = "SERVICE"
  tags                               = var.tags

  network_configuration {
    subnets          = var.network.subnet_ids
    security_groups  = concat([aws_security_group.this.id], var.client_security_group_ids)
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = var.target_groups

    content {
      container_name   = var.service
      container_port   = load_balancer.value.port
      target_group_arn = load_balancer.value.arn
    }
  }

  dynamic "service_registries" {
    for_each = aws_service_discovery_service.this

    content {
      registry_arn = service_registries.value.arn
    }
  }

  # A task that starts before its roles may do anything fails; one that ends after them cannot log.
  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.task, aws_security_group_rule.https]

  lifecycle {
    # Scaling decides how many there are.
    ignore_changes = [desired_count]
  }
}

resource "aws_appautoscaling_target" "this" {
  count = var.autoscaling == null ? 0 : 1

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster.name}/${aws_ecs_service.this.name}"
  min_capacity       = var.autoscaling.minimum
  max_capacity       = var.autoscaling.maximum
}

# Of two targets the one that wants more tasks wins, and only both together take some away.
resource "aws_appautoscaling_policy" "lag" {
  count = var.autoscaling == null ? 0 : 1

  name               = "lag"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.autoscaling.lag_seconds
    scale_out_cooldown = 120
    scale_in_cooldown  = 600

    customized_metric_specification {
      namespace   = var.autoscaling.metric_namespace
      metric_name = "ConsumerLagSeconds"
      statistic   = "Maximum"
      unit        = "Seconds"

      dimensions {
        name  = "Service"
        value = var.autoscaling.metric_service
      }
    }
  }
}

resource "aws_appautoscaling_policy" "cpu" {
  count = var.autoscaling == null ? 0 : 1

  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.autoscaling.cpu_percent
    scale_out_cooldown = 120
    scale_in_cooldown  = 600

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}
