#!/usr/bin/env bash
# The password is known to the container only, so that the line which holds it is made here.
set -euo pipefail
jaas="org.apache.kafka.common.security.plain.PlainLoginModule required username=\"tahoe\" password=\"$BROKER_PASSWORD\" user_tahoe=\"$BROKER_PASSWORD\";"
export KAFKA_LISTENER_NAME_INSIDE_PLAIN_SASL_JAAS_CONFIG="$jaas"
export KAFKA_LISTENER_NAME_OUTSIDE_PLAIN_SASL_JAAS_CONFIG="$jaas"
export KAFKA_SSL_KEYSTORE_PASSWORD="$BROKER_PASSWORD" KAFKA_SSL_KEY_PASSWORD="$BROKER_PASSWORD"
exec /etc/kafka/docker/run
