#!/bin/sh
# podman for podman-compose, with read-only containers as Docker makes them: without a writable /run, /tmp and /var/tmp.
if [ "$1" = create ]; then
  shift
  exec podman create --read-only-tmpfs=false "$@"
fi
exec podman "$@"
