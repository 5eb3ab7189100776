"""A cache of memcache or Redis that is up, and clients of it that never retry.

In:    fields of a `ShardedCache`.
Out:   where each key should be and is; answers, whole; what failed, in words.
Not:   any library of memcache or Redis: what a client sees is what is compared.
Next:  test_sharded_memcache.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from tests.e2e import fleets, memcaches, steady, wire

from alongside import native

FILE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: sessions}
spec:
"""
TIMEOUT_S = 20.0


class Client(memcaches.Memcache):
    """A client whose values are texts; what is said of a write is an answer, error or not."""

    def set(self, key: str, value: str) -> bytes:
        """Store a value; return what was said."""
        self.send(f"set {key} 0 0 {len(value)}\r\n{value}\r\n".encode())
        return self.until(b"\r\n")[:-2]

    def get(self, *keys: str) -> dict[str, str]:  # type: ignore[override]
        """Return the values that are there; raises FailedError where an error is told."""
        return {key: value.decode() for key, value in super().get(*keys).items()}


def connect(address: str) -> Client:
    """Connect to a memcache, at HOST:PORT or unix:PATH."""
    if address.startswith("unix:"):
        return Client.local(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return Client((host, int(port)), timeout_s=TIMEOUT_S)


@dataclasses.dataclass(frozen=True, slots=True)
class Pool:
    """The project and its one cache, `sessions`."""

    fleet: fleets.Fleet

    def write(self, **spec: object) -> Path:
        """Write the file; return its path."""
        folder = self.fleet.base / "photos"
        folder.mkdir(exist_ok=True)
        path = folder / "sessions.yaml"
        fields = {"protocol": "memcache", "port": self.fleet.port, "memory": "8Mi", **spec}
        path.write_text(FILE + "".join(f"  {name}: {value}\n" for name, value in fields.items()))
        return path

    def up(self, **spec: object) -> None:
        """Bring it up, or apply the difference, and wait until it is ready."""
        self.fleet.up(self.write(**spec))

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"127.0.0.1:{self.fleet.port}"

    def status(self) -> dict[str, object]:
        """Return what is said of the cache."""
        listed = self.fleet.status()["pools"]
        assert isinstance(listed, list)
        return dict(listed[0])

    @contextlib.contextmanager
    def client(self, server: str = "") -> Iterator[Client]:
        """Connect to the cache, or to one of its servers."""
        address = str(self.fleet.processes()[server]["address"]) if server else self.address
        with connect(address) as made:
            yield made


@contextlib.contextmanager
def project() -> Iterator[Pool]:
    """Give a project that nothing runs of yet; all of it is ended."""
    with fleets.project() as fleet:
        yield Pool(fleet)


def homes(keys: list[str], servers: int) -> dict[str, str]:
    """Return the server of each key, as twemproxy would place it."""
    names = [(f"sessions-{at}", 1) for at in range(servers)]
    placed = native.TwemproxyPlacement(names, "ketama", "fnv1a_64")
    at = placed.servers([key.encode() for key in keys])
    return {key: f"sessions-{one}" for key, one in zip(keys, at, strict=True)}


class Load(steady.Crowd):
    """Clients that write and read back their own keys; what is no right answer is noted by key."""

    def __init__(self, address: str, keys: list[str], *, is_kept: bool) -> None:
        """Take whether each keeps its connection, or opens one for each key."""
        self.address, self.keys, self.is_kept = address, keys, is_kept
        self.failed: list[tuple[str, str]] = []
        super().__init__(*(lambda at=at: self._run(at) for at in range(steady.WORKERS)))

    def _run(self, at: int) -> None:
        own = self.keys[at :: steady.WORKERS]
        client: Client | None = None
        while not self.is_over.is_set():
            key = own[self.counts[at] % len(own)]
            value = f"{key}-{self.counts[at]}"
            try:
                client = client or connect(self.address)
                said = client.set(key, value)
                if said != b"STORED":
                    self.failed.append((key, said.decode()))
                elif (found := client.get(key)) != {key: value}:
                    self.failed.append((key, f"{found} in place of {value}"))
            except memcaches.FailedError as error:
                self.failed.append((key, str(error)))
            except (OSError, wire.CutError) as error:
                self.failed.append((key, f"{type(error).__name__}: {error}"))
                if client is not None:
                    client.close()
                client = None
            if client is not None and not self.is_kept:
                client.close()
                client = None
            self.counts[at] += 1
        if client is not None:
            client.close()
