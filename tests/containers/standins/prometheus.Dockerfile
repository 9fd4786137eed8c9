# Stands in for docker.io/prom/prometheus:v3.5.0.
FROM docker.io/library/python:3.13-slim-trixie
RUN apt-get -qq update \
    && apt-get -qq install --yes --no-install-recommends prometheus >/dev/null \
    && rm -rf /var/lib/apt/lists/* /etc/prometheus \
    && install --directory --owner nobody --group nogroup /prometheus
USER nobody
WORKDIR /prometheus
EXPOSE 9090
ENTRYPOINT ["/bin/prometheus"]
