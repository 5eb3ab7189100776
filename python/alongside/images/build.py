"""Build our two images: `alongside` with every component, and the data plane alone."""

from __future__ import annotations

import dataclasses
import datetime
import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from alongside.base import errors, libraries, release
from alongside.contract import catalogue, exports, promise, written
from alongside.images import archive, bases, bill, contents, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

Name = Literal["alongside", "alongside-dataplane"]
NAMES: tuple[Name, ...] = ("alongside", "alongside-dataplane")
BYTES_MAX: dict[Name, int] = {"alongside": 96 * 2**20, "alongside-dataplane": 15 * 2**20}
"""What each image may hold of ours, unpacked."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TITLES: dict[Name, str] = {
    "alongside": "Sidecars and sharded services beside a program that stays as it is",
    "alongside-dataplane": "The data plane of alongside, fed a document",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What images to make, and of what."""

    folder: Path
    """Where the archives go."""
    binary: Path
    certificates: Path
    base: Path | None = None
    """The archive that `alongside` stands on; the data plane stands on nothing."""
    base_name: str = ""
    """What the base is called where it comes from, for its label; none where empty."""
    tag: str = ""
    """The version where empty."""
    source: str = ""
    """The URL of the source, for its label; none where empty."""
    revision: str = ""
    time_s: int = 0
    """The time of every file and of the image, in seconds since 1970."""


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image that was built."""

    name: str
    path: Path
    digest: str
    size_bytes: int
    """Of all its files, unpacked."""


def build(name: Name, order: Order) -> Image:
    """Build one image into its archive.

    Raises:
        errors.UsageError: the base is wrong for it.
        errors.PermanentError: something it needs is missing, or it cannot be written.
    """
    order.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=order.folder, prefix=".build-") as text:
        folder = Path(text)
        if name == "alongside-dataplane":
            return _dataplane(order, folder)
        return _alongside(order, folder)


def settings(name: Name, order: Order, base: bases.Base | None = None) -> archive.Settings:
    """Return what an image says about how it is run; ports and labels come from our contracts."""
    is_dataplane = name == "alongside-dataplane"
    command = ("--document", contents.DOCUMENT) if is_dataplane else ("--help",)
    program = f"/{contents.BINARY}" if is_dataplane else "/usr/local/bin/alongside"
    return archive.Settings(
        name=f"{name}:{order.tag or release.version()}",
        architecture=_architecture(),
        entrypoint=(program,),
        command=command,
        user=f"{tree.USER_ID}:{tree.USER_ID}",
        environment=_environment(base),
        exposed=tuple(f"{number}/tcp" for number in exposed()),
        labels=labels(name, order, base),
        created=_created(order),
    )


def exposed() -> tuple[int, ...]:
    """Return the usual ports of the components that an image runs, sorted."""
    numbers = {port.number for one in _contracts() for port in one.ports}
    return tuple(sorted(number for number in numbers if number is not None))


def labels(name: Name, order: Order, base: bases.Base | None) -> dict[str, str]:
    """Return the labels of an image: what the OCI says everybody reads, and our promises."""
    known = {
        "title": name,
        "description": _TITLES[name],
        "version": release.version(),
        "licenses": "Apache-2.0",
        "created": _created(order),
        "source": order.source,
        "revision": order.revision,
        "base.name": order.base_name if base else "",
    }
    said = {f"org.opencontainers.image.{key}": text for key, text in known.items() if text}
    # The data plane alone keeps the promise of its document, not those of the commands.
    held = _contracts() if name == "alongside" else ()
    promises = {f"{exports.LABEL}.{one.component}": written.digest(one) for one in held}
    return {
        **said,
        **promises,
        f"{exports.LABEL}.format": str(written.FORMAT),
        f"{exports.LABEL}.sbom": bill.PLACE,
    }


def _contracts() -> Iterator[promise.Contract]:
    return (catalogue.contract_of(name) for name in catalogue.NAMES)


def _dataplane(order: Order, folder: Path) -> Image:
    loaded = libraries.of(order.binary)
    parts = [*bill.crates(), *bill.libraries(loaded)]
    entries = [
        *contents.people(),
        *contents.folders(),
        *contents.names(),
        *contents.certificates(order.certificates),
        *contents.of_libraries(loaded),
        *contents.binary(order.binary),
        _bill("alongside-dataplane", parts, order),
    ]
    layer = tree.write_layer(entries, folder, time_s=order.time_s)
    size_bytes = sum(entry.size_bytes for entry in entries)
    said = settings("alongside-dataplane", order)
    _check_size("alongside-dataplane", size_bytes)
    return _archived(said, [layer], order, size_bytes)


def _alongside(order: Order, folder: Path) -> Image:
    if order.base is None:
        raise errors.UsageError(
            "--base: is missing; name an archive with Python in it, such as the tar of "
            "`debootstrap --variant=minbase --include=python3 bookworm DIR`"
        )
    base = bases.read(order.base, folder)
    python = _python(base, order.base)
    staged = folder / "staged"
    staged.mkdir()
    contents.stage(staged)
    distributions = contents.distributions()
    parts = [*bill.crates(), *bill.packages(distributions), *bill.system(base.layers)]
    entries = [
        *contents.folders(),
        *tree.of_folder(staged, contents.PACKAGE),
        *contents.command(python),
        *contents.binary(order.binary),
        _bill("alongside", parts, order),
    ]
    layer = tree.write_layer(entries, folder, time_s=order.time_s)
    size_bytes = sum(entry.size_bytes for entry in entries)
    layers = [*base.layers, layer]
    _check_size("alongside", size_bytes)
    return _archived(settings("alongside", order, base), layers, order, size_bytes)


def _archived(
    said: archive.Settings, layers: list[tree.Layer], order: Order, size_bytes: int
) -> Image:
    path = order.folder / f"{said.name.replace(':', '-')}.tar"
    digest = archive.write(said, layers, path)
    return Image(said.name, path, digest, size_bytes)


def _check_size(name: Name, size_bytes: int) -> None:
    if size_bytes > BYTES_MAX[name]:
        raise errors.PermanentError(
            f"{name} would hold {size_bytes} bytes of ours, more than {BYTES_MAX[name]}; "
            "build the binary in release mode, without symbols"
        )


def _bill(name: Name, parts: list[bill.Part], order: Order) -> tree.Entry:
    return tree.Entry(path=bill.PLACE, content=bill.render(name, parts, _created(order)))


def _python(base: bases.Base, path: Path) -> str:
    """Return the base's interpreter that the packages here are for."""
    wanted = f"python3.{sys.version_info.minor}"
    if base.architecture not in {"", _architecture()}:
        raise errors.UsageError(
            f"--base: {path} is for {base.architecture}, and the binary here for "
            f"{_architecture()}; name a base for this machine"
        )
    for python in base.pythons:
        if python.rpartition("/")[2] == wanted:
            return python
    has = f"has {', '.join(base.pythons)}" if base.pythons else "has no Python"
    raise errors.UsageError(
        f"--base: {path} {has}, but the packages here are for {wanted}; "
        f"name a base with {wanted}, or build with its Python"
    )


def _environment(base: bases.Base | None) -> tuple[str, ...]:
    found = base.environment if base else ()
    return found if any(line.startswith("PATH=") for line in found) else (*found, _PATH)


def _architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _created(order: Order) -> str:
    moment = datetime.datetime.fromtimestamp(order.time_s, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
