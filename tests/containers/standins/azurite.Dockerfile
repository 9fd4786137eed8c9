# Stands in for mcr.microsoft.com/azure-storage/azurite:3.35.0.
FROM docker.io/library/python:3.13-slim-trixie
RUN apt-get -qq update \
    && apt-get -qq install --yes --no-install-recommends nodejs npm >/dev/null \
    && rm -rf /var/lib/apt/lists/* \
    && npm install --global --no-audit --no-fund azurite@3.35.0
WORKDIR /opt/azurite
VOLUME /data
EXPOSE 10000
CMD ["azurite", "--location", "/data", "--blobHost", "0.0.0.0"]
