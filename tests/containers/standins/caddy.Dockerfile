# Stands in for docker.io/library/caddy:2.
FROM docker.io/library/python:3.13-slim-trixie
RUN apt-get -qq update \
    && apt-get -qq install --yes --no-install-recommends caddy libcap2-bin >/dev/null \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir -p /config/caddy /data/caddy \
    && chmod 1777 /config/caddy /data/caddy \
    && setcap cap_net_bind_service=+ep /usr/bin/caddy
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
WORKDIR /srv
EXPOSE 80 443
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
