"""Configure the peers as their manuals say, for the same work: nginx, Varnish."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.http import servers

# As many requests on a connection, and idle connections to upstreams, as ours has by default.
REQUESTS_PER_CONNECTION = 10_000
IDLE_MAX = 256
# Where an origin says what was asked of it; the longest body that a configuration file may hold.
COUNT = "/requests"
RETURN_BYTES_MAX = 2048
FRAME = """\
{user}worker_processes 1; daemon off; pid {folder}/{name}.pid; error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests {requests};
  client_body_temp_path {folder}/{name}.body; proxy_temp_path {folder}/{name}.proxy;
  fastcgi_temp_path {folder}/{name}.fastcgi; uwsgi_temp_path {folder}/{name}.uwsgi;
  scgi_temp_path {folder}/{name}.scgi;
{inside}
}}
"""
# What makes small hits cheapest; a file that was replaced is served until it is looked at again.
TUNED = "sendfile off; open_file_cache max=10000 inactive=1h; open_file_cache_valid 1h;"
TO_UPSTREAM = (
    'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;'
)


def origins(ports: Sequence[int], body_bytes: int, folder: Path) -> servers.Program:
    """Return one nginx that serves from memory on several ports, each with a body of its own.

    A body begins with the number of its port in the list, so that an answer tells who gave it.
    `COUNT` of any port says how many requests there were on all.
    """
    blocks = []
    for number, port in enumerate(ports):
        body = f"{number}:".ljust(body_bytes, "x")
        answer = f'return 200 "{body}";'
        if body_bytes > RETURN_BYTES_MAX:
            (folder / f"body-{number}").write_text(body)
            answer = f"root {folder}; rewrite ^ /body-{number} break;"
        blocks.append(
            f"  server {{ listen {servers.HOST}:{port} backlog=4096;"
            f" location = {COUNT} {{ stub_status; }}"
            f' location / {{ add_header Cache-Control "max-age=3600"; {answer} }} }}'
        )
    cached = "  open_file_cache max=16 inactive=1h; open_file_cache_valid 1h; etag off;"
    return nginx("origin", "\n".join([cached, *blocks]), ports[0], folder)


def pair(folder: Path) -> Path:
    """Return a file with a new key on P-256 and its certificate, as all contestants read it."""
    path, key = folder / "pair.pem", folder / "key.pem"
    make = (found("openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2")
    curve = ("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost")
    names = ("-addext", f"subjectAltName=DNS:localhost,IP:{servers.HOST}")
    out = ("-keyout", str(key), "-out", str(path))
    done = subprocess.run([*make, *curve, *names, *out], capture_output=True, check=False)
    if done.returncode != 0:
        raise servers.ServerError(f"openssl makes no certificate: {done.stderr.decode()}")
    path.write_text(path.read_text() + key.read_text())
    return path


def haproxy(name: str, port: int, origin: int, folder: Path, pair_: Path) -> servers.Program:
    """Return a HAProxy of one thread that speaks TLS 1.3 for an origin."""
    text = f"""\
global
  nbthread 1
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend web
  bind {servers.HOST}:{port} backlog 4096 ssl crt {pair_}
  option forwardfor
  default_backend origin
backend origin
  server origin {servers.HOST}:{origin} pool-max-conn {IDLE_MAX}
"""
    path = folder / f"{name}.cfg"
    path.write_text(text)
    return servers.Program(name, (found("haproxy"), "-db", "-f", str(path)), port)


def router(
    name: str, port: int, upstreams: Sequence[int], folder: Path, *, pair: Path | None = None
) -> servers.Program:
    """Return an nginx that hashes the target over upstreams and keeps connections to them.

    With a pair, one file of a certificate and its key, it speaks TLS 1.3.
    """
    seal = ""
    if pair is not None:
        seal = f"ssl_certificate {pair}; ssl_certificate_key {pair}; ssl_protocols TLSv1.3;"
    lines = " ".join(f"server {servers.HOST}:{upstream};" for upstream in upstreams)
    inside = f"""\
  upstream shards {{
    hash $request_uri consistent; {lines}
    keepalive {IDLE_MAX}; keepalive_requests {REQUESTS_PER_CONNECTION};
  }}
  server {{
    listen {servers.HOST}:{port} backlog=4096{" ssl" if seal else ""}; {seal}
    location / {{ proxy_pass http://shards; {TO_UPSTREAM} }}
  }}"""
    return nginx(name, inside, port, folder)


def cache(name: str, port: int, origin: int, folder: Path, *, tuning: str = "") -> servers.Program:
    """Return an nginx that caches an origin's answers in the folder, which is in memory."""
    inside = f"""\
  proxy_cache_path {folder}/{name}.cache levels=1:2 keys_zone=hits:10m max_size=256m
    inactive=1h use_temp_path=off;
  upstream origin {{ server {servers.HOST}:{origin}; keepalive {IDLE_MAX}; }}
  server {{
    listen {servers.HOST}:{port} backlog=4096;
    location / {{
      {tuning}
      proxy_pass http://origin; {TO_UPSTREAM}
      proxy_cache hits; proxy_cache_key $scheme$http_host$request_uri; proxy_cache_lock on;
    }}
  }}"""
    return nginx(name, inside, port, folder)


def nginx(name: str, inside: str, port: int, folder: Path) -> servers.Program:
    """Return an nginx of one worker with what stands inside its `http` block."""
    text = FRAME.format(
        user="user root; " if os.geteuid() == 0 else "",
        folder=folder,
        name=name,
        requests=REQUESTS_PER_CONNECTION,
        inside=inside,
    )
    path = folder / f"{name}.conf"
    path.write_text(text)
    command = (found("nginx"), "-p", str(folder), "-c", str(path), "-e", "stderr")
    return servers.Program(name, command, port)


def varnish(name: str, port: int, origin: int, folder: Path) -> servers.Program:
    """Return a Varnish that keeps answers in 256 MiB of memory."""
    # Without a jail it needs no user and no compiler's folder of its own.
    command = (
        *(found("varnishd"), "-F", "-j", "none", "-n", str(folder / name)),
        *("-b", f"{servers.HOST}:{origin}", "-a", f"{servers.HOST}:{port}", "-s", "malloc,256m"),
    )
    return servers.Program(name, command, port)


def found(command: str) -> str:
    """Return the path of a command, also where only an administrator's shell finds it.

    Raises:
        servers.ServerError: it is not installed.
    """
    path = shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        raise servers.ServerError(f"{command} is not installed; `make bench` as root installs it")
    return path


def is_installed(command: str) -> bool:
    """Tell whether a command can be run."""
    try:
        return bool(found(command))
    except servers.ServerError:
        return False


def version(command: str, option: str) -> str:
    """Return the version that a command names, such as `1.22.1`."""
    done = subprocess.run(
        [found(command), option], capture_output=True, text=True, check=False, timeout=10
    )
    match = re.search(r"\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
    return match[0] if match else "unknown"
