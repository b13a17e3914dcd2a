# A secret with a random password that is drawn once. Secrets Manager draws it, so that no further
# provider is needed; a later draw changes nothing.

data "aws_secretsmanager_random_password" "this" {
  password_length            = var.length
  exclude_punctuation        = !var.punctuation
  include_space              = false
  require_each_included_type = true
  # What shells, URLs and JAAS files would take for something else.
  exclude_characters = "\"'\\/@:;,=$`%&<>{}[]()|#?^~"
}

resource "aws_secretsmanager_secret" "this" {
  name                    = var.secret_name
  description             = var.description
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_window_days
  tags                    = var.tags
}

resource "aws_secretsmanager_secret_version" "this" {
  secret_id     = aws_secretsmanager_secret.this.id
  secret_string = jsonencode({ username = var.username, password = data.aws_secretsmanager_random_password.this.random_password })

  lifecycle {
    ignore_changes = [secret_string]
  }
}
