"""Find a container's command on this machine, and the package that would bring it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BY_COMMAND: Mapping[str, str] = {
    "caddy": "caddy",
    "curl": "curl",
    "dig": "bind9-dnsutils",
    "envsubst": "gettext-base",
    "etcd": "etcd-server",
    "git": "git",
    "gunicorn": "gunicorn",
    "haproxy": "haproxy",
    "httpd": "apache2",
    "java": "default-jre-headless",
    "jq": "jq",
    "mariadbd": "mariadb-server",
    "memcached": "memcached",
    "mosquitto": "mosquitto",
    "mysqld": "mariadb-server",
    "nc": "netcat-openbsd",
    "nginx": "nginx",
    "node": "nodejs",
    "npm": "npm",
    "nutcracker": "nutcracker",
    "php": "php-cli",
    "pip": "python3-pip",
    "psql": "postgresql-client",
    "python": "python-is-python3",
    "python3": "python3",
    "redis-cli": "redis-tools",
    "redis-server": "redis-server",
    "rsync": "rsync",
    "ruby": "ruby",
    "socat": "socat",
    "stunnel": "stunnel4",
    "traefik": "traefik",
    "uvicorn": "uvicorn",
    "valkey-server": "valkey-server",
    "varnishd": "varnish",
    "wget": "wget",
}
"""Debian's names, of what pods often run."""


def missing(command: str, environment: Mapping[str, str], directory: str) -> str | None:
    """Return why a command cannot be run, with a remedy; None where it can.

    Args:
        command: the first word.
        environment: whose PATH finds it.
        directory: where a relative path with a slash begins; empty for this process's own.
    """
    if "/" in command:
        path = os.path.join(directory, command)
        if os.path.isdir(path) or not os.path.exists(path):
            return f"{command} is no file of this machine; check the path"
        if not os.access(path, os.X_OK):
            return f"{command} may not be run; make it executable"
        return None
    if shutil.which(command, path=environment.get("PATH", os.defpath)) is not None:
        return None
    package = BY_COMMAND.get(command)
    remedy = f"apt-get install {package}" if package else "install it, or write another command"
    return f'"{command}" is not on the PATH of this machine; {remedy}'
