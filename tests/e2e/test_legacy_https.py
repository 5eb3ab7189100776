"""The example of an old program behind HTTPS, by the lines of its README."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import fleets, sidecar

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(300)]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "legacy-https"


class Example:
    """The example's folder, copied, and the commands of its README."""

    def __init__(self, base: Path) -> None:
        self.folder = base / "legacy-https"
        shutil.copytree(EXAMPLE, self.folder)
        self.ca = base / "s" / "alongside" / "authority" / "ca" / "ca.crt"
        self.variables = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_STATE_HOME": f"{base}/s",
            "XDG_RUNTIME_DIR": f"{base}/r",
        }

    def run(self, line: str) -> str:
        """Return what lines of a shell say, with our command on its path."""
        ran = subprocess.run(
            ["bash", "-ec", line],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert ran.returncode == 0, f"{line}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def block(self, number: int) -> list[str]:
        """Return the lines of a block of commands of the README."""
        text = (self.folder / "README.md").read_text()
        blocks: list[str] = re.findall(r"```\n(.*?)```", text, flags=re.DOTALL)
        return blocks[number].splitlines()

    def service(self) -> tuple[str, int]:
        """Return where the Service is reached."""
        services = json.loads(self.run("alongside status --json"))["services"]
        host, _, port = str(services["legacy"]["8443"]).rpartition(":")
        return host, int(port)


@pytest.fixture
def example() -> Iterator[Example]:
    with tempfile.TemporaryDirectory(prefix="lh") as text:
        made = Example(Path(text))
        yield made
        made.run("alongside down")


@pytest.mark.parametrize(
    "engine",
    [
        "process",
        pytest.param(
            "namespaces", marks=pytest.mark.skipif(os.geteuid() != 0, reason="waits for root")
        ),
    ],
)
def test_the_pod_speaks_https_and_takes_a_new_certificate(example: Example, engine: str) -> None:
    _, *making, up, _, _ = example.block(1)
    make = "\n".join(making)
    example.run(make)
    assert (example.folder / "certificate.yaml").stat().st_mode & 0o077 == 0
    example.run(f"{up} --engine {engine}")
    address = example.service()
    context = ssl.create_default_context(cafile=str(example.ca))
    status, _, body = sidecar.asked(address, context, name="legacy")
    assert status == 200
    told = body.decode().splitlines()
    assert told[0] == "visitor 1 of /page"
    assert {"Host: legacy", "X-Forwarded-Proto: https", "X-Forwarded-Host: legacy"} <= set(told)
    before = sidecar.fingerprint(address, context)
    example.run(f"alongside certs renew legacy\n{make}\n{up} --engine {engine}")
    sidecar.until(
        lambda: sidecar.fingerprint(address, context) != before, "the new certificate is shown"
    )
    _, _, body = sidecar.asked(address, context, name="legacy")
    assert body.decode().startswith("visitor 2 of ")  # the program was not started anew
