#!/bin/sh
# Build the images of docker-compose.yml from Debian's packages, where no image can be pulled (docs/operations.md).
#
# Needs root, and Debian's packages podman, runc, debootstrap, catatonit. DEBIAN_MIRROR and PIP_INDEX_URL choose where packages come
# from. IRIS_EXTRAS="sip smpp http" installs the libraries of carriers.
set -eu
cd "$(dirname "$0")/.."
suite=${DEBIAN_SUITE:-trixie}

for program in podman runc debootstrap; do
    command -v "$program" > /dev/null || { echo "$program is missing: install Debian's package of this name." >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "Only root can create the base image: run this script as root." >&2; exit 1; }

build() { # build NAME FILE CONTEXT [OPTION …]
    name=$1 file=$2 context=$3
    shift 3
    # The network of the machine, so that the builds reach what the machine reaches.
    podman --runtime runc build --network host --pull=never --tag "localhost/$name" --file "$file" "$@" "$context"
}

if ! podman image exists localhost/iris-debian; then
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    tar -C "$root" -c . | podman import --change 'CMD ["/bin/sh"]' - localhost/iris-debian
fi
build iris-python deploy/images/python.Dockerfile deploy/images
build iris-redis deploy/images/redis.Dockerfile deploy/images
build iris-postgres deploy/images/postgres.Dockerfile deploy/images
build iris Dockerfile . --build-arg PYTHON_IMAGE=localhost/iris-python --build-arg IRIS_EXTRAS="${IRIS_EXTRAS:-}" \
    ${PIP_INDEX_URL:+--build-arg PIP_INDEX_URL="$PIP_INDEX_URL"}

cat <<END
The images are ready. Write these lines into .env, beside docker-compose.yml:

IRIS_IMAGE=localhost/iris
PYTHON_IMAGE=localhost/iris-python
POSTGRES_IMAGE=localhost/iris-postgres
REDIS_IMAGE=localhost/iris-redis
END
