# What the Dockerfile of iris needs in place of python:3.13-slim.
FROM localhost/iris-debian
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 python3-pip python3-venv tzdata \
    && rm -rf /var/lib/apt/lists/*
