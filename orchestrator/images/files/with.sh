#!/bin/sh
# Runs a command with the certificates and the package index that were given as secrets, where they were.
set -eu
if [ -s /run/secrets/ca ]; then
  export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca
fi
if [ -s /run/secrets/index ]; then
  . /run/secrets/index
fi
exec "$@"
