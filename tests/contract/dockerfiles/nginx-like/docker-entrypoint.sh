#!/bin/sh
# vim:sw=4:ts=4:et

set -e

entrypoint_log() {
    if [ -z "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ]; then
        echo "$@"
    fi
}

# How many processes answer; auto is one for each processor
export NGINX_WORKER_PROCESSES="${NGINX_WORKER_PROCESSES:-auto}"
upstream=${NGINX_UPSTREAM:?name the server behind, as http://app:8000}

for f in /docker-entrypoint.d/*.sh; do
    [ -x "$f" ] && "$f"
done
if ! nginx -t; then
    echo "the configuration is wrong" >&2
    exit 3
fi
exec "$@"
