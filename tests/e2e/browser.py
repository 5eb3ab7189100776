"""A real Chromium, and axe-core to find what keeps people out of a page.

In:    an address.
Out:   pages; violations of accessibility as readable lines.
Not:   anything but loopback.
Next:  test_console.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright import sync_api

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alongside-tests"
AXE = "axe-core-4.14.1"
FETCH_S = 120.0
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def opened(*flags: str, home: Path | None = None) -> Iterator[sync_api.Browser]:
    """Run Debian's Chromium, with what its user in a home believes."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("waits for chromium: apt-get install -y chromium")
    with sync_api.sync_playwright() as driver:
        variables = {**os.environ, **({"HOME": str(home)} if home else {})}
        browser = driver.chromium.launch(
            executable_path=path, args=[*FLAGS, *flags], env=dict(variables)
        )
        try:
            yield browser
        finally:
            browser.close()


def axe() -> str:
    """Return axe-core's script; fetched once a machine."""
    path = CACHE / f"{AXE}.js"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        name, _, version = AXE.rpartition("-")
        try:
            subprocess.run(
                ["npm", "pack", f"{name}@{version}"],
                cwd=CACHE,
                check=True,
                capture_output=True,
                timeout=FETCH_S,
            )
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"waits for {AXE} of npm: {error}")
        with tarfile.open(CACHE / f"{AXE}.tgz") as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member is not None
            path.write_bytes(member.read())
    return path.read_text()


def violations(page: sync_api.Page) -> list[str]:
    """Return what axe-core finds wrong in a page as it stands."""
    # The page's own policy refuses scripts from elsewhere; the debugger's are not the page's.
    found = page.evaluate(f"async () => {{ {axe()}; return JSON.stringify(await axe.run()) }}")
    return [
        f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']][:3]}"
        for one in json.loads(found)["violations"]
    ]
