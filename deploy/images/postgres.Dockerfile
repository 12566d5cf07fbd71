# What docker-compose.yml needs in place of postgres:18, with the same variables and the same folder.
FROM localhost/iris-debian
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql-common \
    && sed -i 's/^#create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ \
    && install -d -o postgres -g postgres /var/lib/postgresql
COPY postgres-entrypoint /usr/local/bin/
VOLUME /var/lib/postgresql
# The fast shutdown: PostgreSQL ends its sessions, and does not wait for them.
STOPSIGNAL SIGINT
USER postgres
EXPOSE 5432
ENTRYPOINT ["postgres-entrypoint"]
CMD ["postgres"]
