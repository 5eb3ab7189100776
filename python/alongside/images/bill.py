"""Write what an image is made of as SPDX 2.3 JSON: crates, Python packages, libraries."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from importlib import resources
from typing import TYPE_CHECKING

from alongside.base import errors, release
from alongside.images import contents, tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib import metadata
    from pathlib import Path

PLACE = "usr/share/doc/alongside/sbom.spdx.json"
"""Where the bill stands in an image."""
DPKG = "var/lib/dpkg/status"
"""Where Debian lists its packages."""
_LIST_BYTES_MAX = 64 * 1024 * 1024
_CRATE = re.compile(r"(\S+) v(\S+) (.*)")
_NOT_AN_ID = re.compile(r"[^A-Za-z0-9.-]")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Part:
    """One thing an image is made of."""

    kind: str
    """As package URLs call it: `cargo`, `pypi`, `deb`, `generic`."""
    name: str
    version: str
    licence: str
    """An SPDX expression; empty where it is not known."""


def crates() -> Iterator[Part]:
    """Yield the crates that the binary and the extension are made of, ours left out."""
    text = resources.files("alongside.images").joinpath("crates.txt").read_text("utf-8")
    for line in text.splitlines():
        match = _CRATE.fullmatch(line)
        if match is None:
            raise errors.PermanentError(f"crates.txt: cannot read {line!r}; make it anew")
        yield Part("cargo", match[1], match[2], match[3].replace("/", " OR "))


def packages(distributions: Iterable[metadata.Distribution]) -> Iterator[Part]:
    """Yield the Python packages, ours left out."""
    for one in distributions:
        said = str(one.metadata.json.get("license_expression", ""))
        if one.metadata["Name"] != "alongside":
            yield Part("pypi", contents.folded(one.metadata["Name"]), one.version, said)


def system(layers: Iterable[tree.Layer]) -> Iterator[Part]:
    """Yield the Debian packages that a base says it has, by its upmost layer that lists them."""
    listed = ""
    for layer in layers:
        with tarfile.open(layer.path) as archive:
            for name in (DPKG, f"./{DPKG}"):
                if name in archive.getnames():
                    stream = archive.extractfile(name)
                    content = stream.read(_LIST_BYTES_MAX) if stream is not None else b""
                    listed = content.decode("utf-8", "replace")
    for block in listed.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if fields.get("Status", "").endswith(" installed"):
            yield Part("deb", fields.get("Package", ""), fields.get("Version", ""), "")


def libraries(paths: Iterable[Path]) -> Iterator[Part]:
    """Yield the Debian packages that libraries of this machine belong to, where it knows."""
    dpkg = shutil.which("dpkg-query")
    for path in paths:
        found = [part for name in _spellings(path) for part in _owner(dpkg, name)]
        yield found[0] if found else Part("generic", path.name, "unknown", "")


def _spellings(path: Path) -> dict[str, None]:
    """Return how dpkg may know a file, which on a merged /usr has two names."""
    texts = (str(path), str(path.resolve()))
    without = [text.removeprefix("/usr") for text in texts]
    return dict.fromkeys([*texts, *without, *(f"/usr{text}" for text in without)])


def _owner(dpkg: str | None, path: str) -> Iterator[Part]:
    if dpkg is None:
        return
    owner = _told([dpkg, "--search", path]).partition(":")[0].strip()
    if owner:
        version = _told([dpkg, "--show", "--showformat", "${Version}\n", owner]).partition("\n")[0]
        yield Part("deb", owner, version, "")


def _told(words: list[str]) -> str:
    ran = subprocess.run(  # noqa: S603
        words, capture_output=True, text=True, check=False, timeout=30
    )
    return ran.stdout if ran.returncode == 0 else ""


def render(name: str, parts: Iterable[Part], created: str) -> bytes:
    """Return the bill of an image; equal parts give equal bytes."""
    listed = sorted(set(parts))
    own = Part("generic", name, release.version(), "Apache-2.0")
    identity = hashlib.sha256(repr((own, listed)).encode()).hexdigest()
    described = [_package(one) for one in (own, *listed)]
    relations = [
        {
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": _id(own),
        },
        *(
            {
                "spdxElementId": _id(own),
                "relationshipType": "CONTAINS",
                "relatedSpdxElement": _id(one),
            }
            for one in listed
        ),
    ]
    bill = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"urn:sha256:{identity}",
        "creationInfo": {"created": created, "creators": [f"Tool: alongside-{release.version()}"]},
        "packages": described,
        "relationships": relations,
    }
    return (json.dumps(bill, indent=1) + "\n").encode()


def _package(part: Part) -> dict[str, object]:
    return {
        "SPDXID": _id(part),
        "name": part.name,
        "versionInfo": part.version,
        "downloadLocation": "NOASSERTION",
        "licenseDeclared": part.licence or "NOASSERTION",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": _package_url(part),
            }
        ],
    }


def _package_url(part: Part) -> str:
    vendor = "debian/" if part.kind == "deb" else ""
    return f"pkg:{part.kind}/{vendor}{part.name}@{part.version}"


def _id(part: Part) -> str:
    return "SPDXRef-" + _NOT_AN_ID.sub("-", f"{part.kind}-{part.name}-{part.version}")
