"""Keep an authority and its certificates in a folder of this user alone.

ca/ca.crt  ca/ca.key                    made whole, or not at all
certificates/NAME/tls.crt  tls.key      replaced at once, as Kubernetes does it
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from alongside.base import errors, files, units
from alongside.components.authority import issuing

CHAIN, KEY = "tls.crt", "tls.key"
CA_CHAIN, CA_KEY = "ca.crt", "ca.key"
FOLDER_MODE, KEY_MODE, CHAIN_MODE = 0o700, 0o600, 0o644
BYTES_MAX = 2**20
LEFT_PARTS = 3
"""A certificate is renewed by itself when less than one part of so many of its lifetime is left."""
OTHERS = 0o077
"""What nobody but the owner of a key may have."""

Content = Mapping[str, tuple[bytes, int]]
"""Files by name: their content and mode."""
Publish = Callable[[Path, Content], object]
"""Lets a folder show files, all at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Issued:
    """A certificate of ours, where it lies."""

    name: str
    folder: Path
    told: issuing.Told
    problem: str
    """Why it is not to be used any more; empty where it is."""

    def is_due(self, now_s: float) -> bool:
        """Return whether it is to be renewed: less than a third of its lifetime is left."""
        lifetime_s = self.told.ends_s - self.told.begins_s
        return bool(self.problem) or self.told.ends_s - now_s < lifetime_s / LEFT_PARTS


class Store:
    """The folder of an authority, at one moment."""

    def __init__(self, folder: Path, now_s: float, publish: Publish) -> None:
        """Take the folder, which need not be there, the time, and what writes folders at once."""
        self.folder = folder
        self._now_s = now_s
        self._publish = publish

    @property
    def certificate(self) -> Path:
        """Where the authority's own certificate lies, to be trusted."""
        return self.folder / "ca" / CA_CHAIN

    def place(self, name: str) -> Path:
        """Return the folder of a certificate by its name."""
        return self.folder / "certificates" / name

    def authority(self) -> issuing.Pair | None:
        """Return the authority; None where there is none yet.

        Raises:
            errors.UsageError: it is there and cannot be used; says what to do.
        """
        home = self.folder / "ca"
        if not home.is_dir():
            if home.is_symlink() or home.exists():
                raise errors.UsageError(f"{home} is not a folder; {self._anew()}")
            return None
        pair = _read(home, CA_CHAIN, CA_KEY)
        problem = f"{home} holds half an authority" if pair is None else issuing.problem(pair)
        if pair is None or problem:
            raise errors.UsageError(f"{home}: {problem}; {self._anew()}")
        _check_closed(home / CA_KEY)
        if issuing.told(pair.chain).ends_s <= self._now_s:
            raise errors.UsageError(f"{home}: the authority has expired; {self._anew()}")
        return pair

    def begin(self, name: str) -> issuing.Pair:
        """Return the authority; one of that name is made where there is none.

        Raises:
            errors.UsageError: there is one that cannot be used.
            errors.PermanentError: it cannot be written.
        """
        found = self.authority()
        if found is not None:
            return found
        made = issuing.authority(name, self._now_s)
        temporary = self.folder / f".new-{secrets.token_hex(6)}"
        with self._writing():
            try:
                temporary.mkdir(mode=FOLDER_MODE)
                files.write_atomic(temporary / CA_CHAIN, made.chain, mode=CHAIN_MODE)
                files.write_atomic(temporary / CA_KEY, made.key, mode=KEY_MODE)
                os.rename(temporary, self.folder / "ca")
                files.sync_directory(self.folder)
            except OSError:
                # Somebody else may have made one in the meantime.
                found = self.authority()
                if found is None:
                    raise
                return found
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        return made

    def issue(self, name: str, hosts: Sequence[str]) -> Issued:
        """Make a certificate for hosts, or replace the one of that name; it is seen at once.

        Raises:
            errors.UsageError: there is no authority, or something else lies there.
            errors.PermanentError: it cannot be written.
        """
        issuer = self.authority()
        if issuer is None:
            raise errors.UsageError("there is no authority; write alongside certs create")
        home = self.place(name)
        made = issuing.leaf(issuer, hosts, self._now_s)
        with self._writing():
            for folder in (home.parent, home):
                folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            both = {CHAIN: (made.chain, CHAIN_MODE), KEY: (made.key, KEY_MODE)}
            self._publish(home, both)
        return self._issued(name, issuer)

    def found(self, name: str) -> Issued | None:
        """Return the certificate of a name; None where there is none.

        Raises:
            errors.UsageError: it cannot be read, or the authority cannot be used.
        """
        return self._issued(name, self.authority()) if self.place(name).is_dir() else None

    def all(self) -> tuple[Issued, ...]:
        """Return every certificate, sorted by name; raises UsageError as `found` does."""
        home = self.folder / "certificates"
        try:
            listed = sorted(path.name for path in home.iterdir() if path.is_dir())
        except OSError:
            return ()
        issuer = self.authority()
        return tuple(self._issued(name, issuer) for name in listed)

    def ready(self, authority: str, name: str, hosts: Sequence[str]) -> Issued:
        """Return a certificate for hosts that is good for weeks, made or renewed where it must be.

        Raises:
            errors.UsageError: what lies there cannot be used.
            errors.PermanentError: it cannot be written.
        """
        self.begin(authority)
        try:
            found = self.found(name)
        except errors.UsageError:
            found = None  # half of one, which is replaced
        covers = found is not None and set(hosts) <= set(found.told.names)
        if found is None or not covers or found.is_due(self._now_s):
            return self.issue(name, hosts)
        return found

    def _issued(self, name: str, issuer: issuing.Pair | None) -> Issued:
        home = self.place(name)
        pair = _read(home, CHAIN, KEY)
        if pair is None:
            raise errors.UsageError(
                f"{home} holds half a certificate; remove it and write alongside certs create"
            )
        try:
            told = issuing.told(pair.chain)
        except errors.UsageError as error:
            raise errors.UsageError(
                f"{home / CHAIN}: {error}; remove {home} and write alongside certs create"
            ) from error
        problem = issuing.problem(pair, issuer)
        if not problem and told.ends_s <= self._now_s:
            problem = "it has expired"
        return Issued(name, home, told, problem)

    def _anew(self) -> str:
        return f"remove {self.folder / 'ca'} and write alongside certs create"

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the folder alone, and say in words what fails."""
        try:
            self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            _check_closed(self.folder)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.folder / "issuing.lock", flags, KEY_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            raise errors.PermanentError(
                f"cannot write {error.filename or self.folder}: {error.strerror}; "
                "set XDG_STATE_HOME to a folder of yours"
            ) from error


def _read(home: Path, chain: str, key: str) -> issuing.Pair | None:
    both = [files.read_if_exists(home / name, bytes_max=BYTES_MAX) for name in (chain, key)]
    return issuing.Pair(both[0], both[1]) if both[0] and both[1] else None


def _check_closed(path: Path) -> None:
    """Do nothing where only its owner may use a path.

    Raises:
        errors.UsageError: others may.
    """
    mode = path.stat().st_mode & 0o777
    if mode & OTHERS:
        closed = f"{mode & ~OTHERS:o}"
        raise errors.UsageError(
            f"{path} is open to others ({mode:o}), who may have read a key; "
            f"write chmod {closed} {units.shown(str(path))}, or remove it and create anew"
        )
