"""Send requests: wrk for the measurement, one plain client to see that the answers are right."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import random
import re
import ssl
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from bench.http import peers, servers

SCRIPT = Path(__file__).with_name("keys.lua")
KEYS = 256
SEED = 20
# What a browser sends, 12 fields with Host.
BROWSER: Mapping[str, str] = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "https://www.example.org/albums/summer?page=3",
    "Cookie": "sid=7f1c0e4a9b2d4f6e8a0c1b3d5e7f9a1b; theme=dark; seen=1730000000",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Priority": "u=0, i",
    "X-Request-Id": "4bf92f3577b34da6a3ce929d0e0e4736",
}


class LoadError(Exception):
    """A request failed or was answered wrongly, so that no figure would mean anything."""


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """What wrk sends: files of targets and headers, how many connections, pinned to a core."""

    targets: Path
    headers: Path
    connections: int
    core: int
    is_tls: bool = False

    def run(self, port: int, seconds: int) -> tuple[Figures, float]:
        """Return what wrk reports after some seconds, and its own CPU time in seconds.

        Raises:
            LoadError: a request failed, or wrk did.
        """
        command = (
            *("taskset", "--cpu-list", str(self.core), peers.found("wrk")),
            *("-t1", f"-c{self.connections}", f"-d{seconds}s", "-s", str(SCRIPT)),
            *(
                f"http{'s' if self.is_tls else ''}://{servers.HOST}:{port}/",
                "--",
                str(self.targets),
                str(self.headers),
            ),
        )
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with process:
            said = process.stdout.read() if process.stdout else ""
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise LoadError(f"wrk ended with {process.returncode}: {said[-500:]}")
        return reported(said), usage.ru_utime + usage.ru_stime


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """What wrk reports."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


def reported(said: str) -> Figures:
    """Return the figures in the last line that wrk printed.

    Raises:
        LoadError: there are none, or a request failed.
    """
    line = said.strip().rpartition("\n")[2]
    try:
        fields: dict[str, float] = json.loads(line)
    except ValueError as error:
        raise LoadError(f"wrk reported no figures: {said[-500:]}") from error
    if fields["failed"] or not fields["requests"]:
        raise LoadError(f"{fields['failed']:.0f} of {fields['requests']:.0f} requests failed")
    return Figures(int(fields["requests"]), fields["seconds"], fields["p50_ms"], fields["p99_ms"])


def targets() -> list[str]:
    """Return the targets of every measurement: `KEYS` of them, equal in every run."""
    draw = random.Random(SEED)  # noqa: S311 - must repeat, not surprise
    return [f"/albums/{draw.randrange(1000)}/photos/{draw.getrandbits(40):x}" for _ in range(KEYS)]


def bodies(port: int, *, is_tls: bool = False) -> list[bytes]:
    """Return the body of each target in turn, asked of one server over one connection.

    Raises:
        LoadError: an answer is not a 200.
    """
    connection = http.client.HTTPConnection(servers.HOST, port, timeout=10)
    if is_tls:
        # Whose certificate it is says nothing here: it was made for this run.
        context = ssl._create_unverified_context()  # noqa: S323
        connection = http.client.HTTPSConnection(servers.HOST, port, timeout=10, context=context)
    found = []
    for target in targets():
        connection.request("GET", target)
        answer = connection.getresponse()
        found.append(answer.read())
        if answer.status != 200:
            raise LoadError(f"{target} on port {port} is answered with {answer.status}")
    connection.close()
    return found


def asked_of_origin(port: int) -> int:
    """Return how many requests the origin has had, this one left out.

    Raises:
        LoadError: the origin does not say.
    """
    with urllib.request.urlopen(f"http://{servers.HOST}:{port}{peers.COUNT}", timeout=10) as page:
        counts = re.search(rb"^ \d+ \d+ (\d+)", page.read(), flags=re.M)
    if counts is None:
        raise LoadError("the origin does not count its requests")
    return int(counts[1]) - 1
