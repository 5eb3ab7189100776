"""Make ConfigMaps and Secrets of files and words, by the rules of `kubectl create`."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors, files, units
from alongside.resources.kubernetes import values as known

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA_BYTES_MAX = 2**20
"""Of all values and keys together, as an API server has it."""
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


@dataclass(slots=True)
class Data:
    """The keys and values so far; each key once."""

    values: dict[str, bytes] = field(default_factory=dict)
    _from: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, value: bytes, source: str) -> None:
        """Take a value.

        Raises:
            errors.UsageError: the key is none, is there already, or it is too much.
        """
        if not known.is_key(key):
            raise errors.UsageError(
                f"{source}: {units.shown(key)} is no key; write letters, digits, - . and _, "
                "no .. at the beginning, as in KEY=PATH"
            )
        if key in self.values:
            raise errors.UsageError(
                f'{source}: the key "{key}" was given by {self._from[key]} already; '
                "give one of the two another key, as in KEY=PATH"
            )
        self.values[key], self._from[key] = value, source
        size = sum(len(key) + len(value) for key, value in self.values.items())
        if size > DATA_BYTES_MAX:
            raise errors.UsageError(
                f"{source}: more than {DATA_BYTES_MAX} bytes in all, which is what a ConfigMap "
                "holds; mount a folder instead"
            )

    def add_file(self, words: str) -> None:
        """Take `PATH`, `KEY=PATH`, or the files of a folder whose names are keys."""
        key, is_named, text = words.rpartition("=")
        source, path = f"--from-file={words}", Path(text)
        if is_named and not key:
            raise errors.UsageError(f"{source}: the key is missing; write KEY=PATH")
        if path.is_dir():
            if is_named:
                raise errors.UsageError(
                    f"{source}: {text} is a folder, whose files have their names as keys; "
                    "leave KEY= out"
                )
            for one in sorted(path.iterdir()):
                if one.is_file() and not one.is_symlink() and known.is_key(one.name):
                    self.add(one.name, _content(one, source), source)
        else:
            self.add(key if is_named else path.name, _content(path, source), source)

    def add_literal(self, words: str) -> None:
        """Take `KEY=VALUE`."""
        key, is_there, value = words.partition("=")
        if not is_there:
            raise errors.UsageError(
                f"--from-literal={units.shown(words)}: the value is missing; write KEY=VALUE"
            )
        self.add(key, value.encode("utf-8", "surrogateescape"), "--from-literal")

    def add_variables(self, text: str, environment: Mapping[str, str]) -> None:
        """Take a file of lines `NAME=VALUE`; a name alone has the value that it has here."""
        source = f"--from-env-file={text}"
        content = _content(Path(text), source)
        try:
            lines = content.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise errors.UsageError(f"{source}: it is no UTF-8 text; use --from-file") from error
        for number, line in enumerate(lines, 1):
            name, is_given, value = line.lstrip().partition("=")
            if not name.strip() or name.startswith("#"):
                continue
            if not _VARIABLE.fullmatch(name):
                raise errors.UsageError(
                    f"{source}: line {number}: {units.shown(name)} is no variable's name; "
                    "write NAME=VALUE"
                )
            if is_given or name in environment:
                found = value if is_given else environment[name]
                self.add(name, found.encode("utf-8", "surrogateescape"), source)


def config_map(name: str, data: Data, *, namespace: str = "") -> dict[str, object]:
    """Return the ConfigMap; what is no UTF-8 text stands under `binaryData`."""
    texts: dict[str, str] = {}
    raw: dict[str, str] = {}
    for key in sorted(data.values):
        try:
            texts[key] = data.values[key].decode()
        except UnicodeDecodeError:
            raw[key] = base64.b64encode(data.values[key]).decode()
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(name, namespace),
        **({"data": texts} if texts else {}),
        **({"binaryData": raw} if raw else {}),
    }


def tls_secret(name: str, *, cert: str, key: str, namespace: str = "") -> dict[str, object]:
    """Return the Secret of a certificate's chain and its key, from their files.

    Raises:
        errors.UsageError: one of them cannot be read, or is not PEM of its kind.
    """
    problems: list[str] = []
    data: dict[str, str] = {}
    wanted = (
        ("tls.crt", "--cert", cert, b"-----BEGIN CERTIFICATE-----", "certificate"),
        ("tls.key", "--key", key, b"PRIVATE KEY-----", "key"),
    )
    for entry, option, path, mark, what in wanted:
        source = f"{option}={path}"
        try:
            content = _content(Path(path), source)
        except errors.UsageError as error:
            problems += error.problems
            continue
        if mark not in content:
            problems.append(f"{source}: holds no {what}; name a file that does, in PEM")
        data[entry] = base64.b64encode(content).decode()
    if problems:
        raise errors.UsageError(*problems)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(name, namespace),
        "type": "kubernetes.io/tls",
        "data": data,
    }


def _metadata(name: str, namespace: str) -> dict[str, str]:
    return {"name": name, "namespace": namespace} if namespace else {"name": name}


def _content(path: Path, source: str) -> bytes:
    try:
        return files.read_bounded(path, bytes_max=DATA_BYTES_MAX)
    except errors.UsageError as error:
        raise errors.UsageError(*(f"{source}: {problem}" for problem in error.problems)) from error
