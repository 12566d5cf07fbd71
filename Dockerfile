FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --uid 1000 --create-home iris \
    && mkdir -p /var/lib/iris \
    && chown iris:iris /var/lib/iris

WORKDIR /srv/iris
COPY requirements/*.txt requirements/
RUN pip install --require-hashes -r requirements/base.txt
# Names of additional requirements/*.txt, for trunks that need them: "sip smpp http".
ARG IRIS_EXTRAS=""
RUN for extra in $IRIS_EXTRAS; do pip install --require-hashes -r "requirements/$extra.txt" || exit 1; done
COPY LICENSE README.md manage.py pyproject.toml ./
COPY iris iris
COPY accounts accounts
COPY webhooks webhooks
COPY telephony telephony
COPY campaigns campaigns
COPY otp otp
COPY console console
COPY locale locale

USER iris
ENV IRIS_HOME=/var/lib/iris
VOLUME /var/lib/iris
EXPOSE 8000
CMD ["gunicorn", "--config=python:iris.webserver.config", "iris.wsgi", "--bind=0.0.0.0:8000", "--workers=2"]
