#!/usr/bin/env bash
# Draws the broker's certificate onto its volume, once. It signs itself, so that it is the authority
# that clients trust. What clients read comes last: its presence says that the rest is there.
set -euo pipefail
if [ -f /authority/ca.crt ] && [ -f /certs/broker.p12 ]; then exit 0; fi

keytool=${JAVA_HOME:-/opt/java/openjdk}/bin/keytool
rm -f /certs/broker.p12
"$keytool" -genkeypair -alias broker -keyalg EC -groupname secp256r1 -validity 3650 \
  -dname "CN=$BROKER_NAME" -ext "san=dns:$BROKER_NAME" \
  -storetype PKCS12 -keystore /certs/broker.p12 -storepass:env BROKER_PASSWORD
"$keytool" -exportcert -rfc -alias broker \
  -keystore /certs/broker.p12 -storepass:env BROKER_PASSWORD > /authority/ca.new
chmod 644 /authority/ca.new
mv /authority/ca.new /authority/ca.crt
