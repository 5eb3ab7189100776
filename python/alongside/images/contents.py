"""Say which files our images hold: the binary with what it is linked to, and the package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import alongside
from alongside.base import errors
from alongside.images import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "opt/alongside"
"""Where the Python packages stand in the image."""
BINARY = "usr/local/bin/alongside-dataplane"
DOCUMENT = "/etc/alongside/document.json"
_COMMAND = """\
#!{python} -I
import sys
sys.path.insert(0, "/{package}")
from alongside.cli.{module} import main
sys.exit(main())
"""
_SUFFIXES_LEFT_OUT = {".pyc", ".pyo"}
_COMPILE_S_MAX = 300


def people() -> Iterator[tree.Entry]:
    """Yield what makes user 65532 a name, and its folder for sockets."""
    user = tree.USER_ID
    passwd = f"root:x:0:0:root:/:/sbin/nologin\nalongside:x:{user}:{user}::/:/sbin/nologin\n"
    yield tree.Entry(path="etc/passwd", content=passwd.encode())
    yield tree.Entry(path="etc/group", content=f"root:x:0:\nalongside:x:{user}:\n".encode())


def folders() -> Iterator[tree.Entry]:
    """Yield the folders that the user of the image may write, where the root is writable."""
    for path in ("run/alongside", "etc/alongside"):
        yield tree.Entry(path=path, is_folder=True, mode=0o755, owner=tree.USER_ID)


def binary(path: Path) -> Iterator[tree.Entry]:
    """Yield the data plane's binary."""
    yield tree.Entry(path=BINARY, source=path, mode=0o755)


def of_libraries(paths: tuple[Path, ...]) -> Iterator[tree.Entry]:
    """Yield libraries where the loader looks for them: at the paths that this machine has."""
    for path in paths:
        yield tree.Entry(path=str(path).lstrip("/"), source=path.resolve(), mode=0o755)


def certificates(path: Path) -> Iterator[tree.Entry]:
    """Yield the authorities that are believed, where everybody looks for them."""
    yield tree.Entry(path="etc/ssl/certs/ca-certificates.crt", source=path)


def names() -> Iterator[tree.Entry]:
    """Yield how names are found: the hosts file, then DNS."""
    yield tree.Entry(path="etc/nsswitch.conf", content=b"hosts: files dns\n")


def command(python: str) -> Iterator[tree.Entry]:
    """Yield our commands for an interpreter of the base: `alongside` and `nutcracker`."""
    for name, module in (("alongside", "main"), ("nutcracker", "nutcracker")):
        text = _COMMAND.format(python=python, package=PACKAGE, module=module)
        yield tree.Entry(path=f"usr/local/bin/{name}", content=text.encode(), mode=0o755)


def distributions() -> tuple[metadata.Distribution, ...]:
    """Return what the package needs to run, itself first, by the metadata of this installation.

    Raises:
        errors.PermanentError: the installation lacks something.
    """
    found: dict[str, metadata.Distribution] = {}
    wanted = ["alongside"]
    while wanted:
        name = wanted.pop(0)
        if folded(name) in found:
            continue
        try:
            one = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            raise errors.PermanentError(
                f"{name} is not installed, which alongside needs; install alongside with pip"
            ) from error
        found[folded(name)] = one
        wanted.extend(_required(one))
    return tuple(found.values())


def stage(folder: Path) -> None:
    """Put the package and what it needs into a folder, compiled, and nothing that differs by time.

    Raises:
        errors.PermanentError: a file is missing, or does not compile.
    """
    for one in distributions():
        if one.metadata["Name"] == "alongside":
            _stage_own(one, folder)
        else:
            _stage_files(one, folder)
    # Hashes instead of times, never checked: the files of an image do not change.
    compiled = subprocess.run(  # noqa: S603
        [
            *(sys.executable, "-s", "-P", "-m", "compileall", "-q", "-j", "1"),
            *("--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", f"/{PACKAGE}"),
            str(folder),
        ],
        env={"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMPILE_S_MAX,
    )
    if compiled.returncode != 0:
        raise errors.PermanentError(f"the package does not compile: {compiled.stdout.strip()}")


def _stage_own(one: metadata.Distribution, folder: Path) -> None:
    """Copy our own package from where it was imported: it may be a source tree."""
    source = Path(next(iter(alongside.__path__)))
    shutil.copytree(
        source, folder / "alongside", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    described = folder / f"alongside-{one.version}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(str(one.read_text("METADATA")))


def _stage_files(one: metadata.Distribution, folder: Path) -> None:
    for path in one.files or ():
        is_inside = ".." not in path.parts and not path.is_absolute()
        if not is_inside or path.suffix in _SUFFIXES_LEFT_OUT or path.name in _RECORDS:
            continue
        source, target = Path(str(path.locate())), folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


_RECORDS = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
"""What an installer notes of itself, with its paths and hashes."""


def _required(one: metadata.Distribution) -> Iterator[str]:
    # Late: nothing else needs it.
    from packaging import requirements  # noqa: PLC0415

    for text in one.requires or ():
        wanted = requirements.Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield wanted.name


def folded(name: str) -> str:
    """Return the name of a package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
