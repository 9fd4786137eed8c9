# Stands in for docker.io/prom/alertmanager:v0.28.1.
FROM docker.io/library/python:3.13-slim-trixie
RUN apt-get -qq update \
    && apt-get -qq install --yes --no-install-recommends prometheus-alertmanager >/dev/null \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s /usr/bin/prometheus-alertmanager /usr/bin/alertmanager \
    && install --directory --owner nobody --group nogroup /alertmanager
USER nobody
WORKDIR /alertmanager
EXPOSE 9093
ENTRYPOINT ["/bin/alertmanager"]
