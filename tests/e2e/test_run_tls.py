"""`alongside run --with tls`: one line, a URL by HTTPS, and nobody is told to trust it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import ports
from tests.e2e import fleets, sidecar

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "2"); self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def words(option: str, *program: str) -> list[str]:
    return [sys.executable, "-m", "alongside", "run", option, "--", *program]


def variables(folder: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(folder / "state")}


def authority(folder: Path) -> Path:
    return folder / "state" / "alongside" / "authority"


@contextlib.contextmanager
def started(folder: Path, option: str) -> Iterator[str]:
    """Yield what it says, once the program is reached by HTTPS."""
    with (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            words(option, sys.executable, "-c", SERVER), stderr=err, env=variables(folder)
        )
    try:
        sidecar.until(
            lambda: "at https://" in (folder / "err").read_text() or process.poll() is not None,
            "it says where it is",
        )
        yield (folder / "err").read_text()
    finally:
        process.terminate()
        process.wait(30)


def refused(folder: Path, option: str) -> str:
    ran = subprocess.run(
        words(option, "echo", "started"),
        env=variables(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    return ran.stderr


@fleets.NEEDS_DATA_PLANE
def test_one_line_makes_a_url_that_who_is_told_may_believe(tmp_path: Path) -> None:
    port = ports.free_port()
    with started(tmp_path, f"--with=tls:listen=127.0.0.1:{port}") as told:
        assert f"tls is at https://127.0.0.1:{port}, in front of 127.0.0.1:" in told
        [line] = re.findall(r"ask it: (curl .*)", told)
        _, _, ca, url = shlex.split(line)
        context = ssl.create_default_context(cafile=ca)
        assert url == f"https://127.0.0.1:{port}/"
        status, _, body = sidecar.asked(("127.0.0.1", port), context, name="127.0.0.1")
        assert (status, body) == (200, b"ok")
        assert "alongside certs trust" in told
    assert Path(ca) == authority(tmp_path) / "ca" / "ca.crt"


@fleets.NEEDS_DATA_PLANE
def test_the_next_run_shows_the_same_certificate(tmp_path: Path) -> None:
    prints = []
    for _ in range(2):
        port = ports.free_port()
        with started(tmp_path, f"--with=tls:listen=127.0.0.1:{port}"):
            cafile = authority(tmp_path) / "ca" / "ca.crt"
            context = ssl.create_default_context(cafile=str(cafile))
            prints.append(sidecar.fingerprint(("127.0.0.1", port), context))
    assert prints[0] == prints[1]


@fleets.NEEDS_DATA_PLANE
def test_a_certificate_of_the_users_own_is_served_and_none_made(tmp_path: Path) -> None:
    own = sidecar.Authority(tmp_path / "own")
    port = ports.free_port()
    option = f"--with=tls:listen=127.0.0.1:{port},certificate-path={own.made('site')}"
    with started(tmp_path, option) as told:
        assert sidecar.asked(("127.0.0.1", port), own.client())[0] == 200
    assert "ask it" not in told
    assert not authority(tmp_path).exists()


def test_what_is_wrong_starts_nothing(tmp_path: Path) -> None:
    assert "did you mean --proxy-port?" in refused(tmp_path, "--with=tls:proxy-prot=80")
    told = refused(tmp_path, f"--with=tls:certificate-path={tmp_path}/none")
    assert "--certificate-path: " in told
    assert "does not exist" in told
    assert "is not in whole seconds" in refused(tmp_path, "--with=tls:session=1ms")


def test_half_an_authority_starts_nothing(tmp_path: Path) -> None:
    home = authority(tmp_path)
    sidecar.Authority(home)
    (home / "ca" / "ca.key").unlink()
    assert f"remove {home}/ca and write alongside certs create" in refused(tmp_path, "--with=tls")
