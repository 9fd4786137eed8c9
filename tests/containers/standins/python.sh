#!/usr/bin/env bash
# Stands in for docker.io/library/python:3.13-slim-trixie: Debian trixie, whose own Python is 3.13.
# python.sh NAME [OPTION…]: NAME is the image to make, options are for `podman build`.
set -euo pipefail
name=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3,python3-venv,python3-pip trixie "$folder/root.tar"
# As in the official image: `python` and `pip` are in the path, and pip may install.
cat >"$folder/Dockerfile" <<'X'
FROM scratch
ADD root.tar /
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin LANG=C.UTF-8
RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED \
    && ln -s /usr/bin/python3 /usr/local/bin/python \
    && ln -s /usr/bin/pip3 /usr/local/bin/pip
CMD ["python3"]
X
podman build --format docker "$@" --tag "$name" "$folder"
