"""The list of Debian packages is whole, and installing them starts no service."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests import conftest

ROOT = conftest.LIST.parent.parent
STARTERS = ("invoke-rc.d", "deb-systemd-invoke", "service", "systemctl", "start-stop-daemon")


def test_every_command_that_the_bench_runs_is_in_the_list() -> None:
    text = "".join(path.read_text() for path in (ROOT / "bench").rglob("*.py"))
    asked = set(re.findall(r'(?:found|is_installed)\("([\w.-]+)"\)', text))
    assert asked >= {"nginx", "wrk", "varnishd"}
    assert asked <= set(conftest.packages())


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="packages are installed as root only")
def test_what_a_package_starts_when_it_is_installed_is_not_started(tmp_path: Path) -> None:
    for starter in STARTERS:
        script(tmp_path / starter, f"echo {starter} >>{tmp_path}/started")
    starts = "\n".join(f"{starter} start nobody" for starter in STARTERS)
    script(tmp_path / "apt-get", f'{starts}\necho "$@" >{tmp_path}/asked')
    (tmp_path / "list").write_text("nobody no-such-command for this test\n")
    subprocess.run(
        [ROOT / "scripts" / "debian_packages.sh", tmp_path / "list"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "INSTALL": "1"},
        check=True,
        timeout=60,
    )
    assert "install --no-install-recommends nobody" in (tmp_path / "asked").read_text()
    assert not (tmp_path / "started").exists()
