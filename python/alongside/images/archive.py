"""Write an image as one archive: an OCI layout that also holds Docker's older manifest.

`ctr images import`, `skopeo copy oci-archive:` and Docker from 25 on read `index.json`; an older
Docker reads `manifest.json`. Both name the same blobs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import secrets
import tarfile
from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from alongside.images import tree

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an image says about how it is run, besides its files."""

    name: str
    """With its tag: `alongside:0.1.0`."""
    architecture: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    environment: tuple[str, ...]
    exposed: tuple[str, ...]
    """Ports as `8080/tcp`."""
    labels: dict[str, str]
    stop_signal: str = "SIGTERM"
    folder: str = "/"
    created: str = "1970-01-01T00:00:00Z"

    def config(self) -> dict[str, object]:
        """Return the part of an image's configuration that says how it is run."""
        return {
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.exposed},
            "Env": list(self.environment),
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "WorkingDir": self.folder,
            "Labels": dict(sorted(self.labels.items())),
            "StopSignal": self.stop_signal,
        }


def write(settings: Settings, layers: Sequence[tree.Layer], path: Path) -> str:
    """Write an image of layers, the lowest first, and return its manifest's digest (`sha256:…`).

    Raises:
        errors.PermanentError: the archive cannot be written.
    """
    config = _json(
        {
            "architecture": settings.architecture,
            "os": "linux",
            "created": settings.created,
            "config": settings.config(),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one.digest}" for one in layers]},
            "history": [{"created": settings.created, "created_by": "alongside images build"}]
            * len(layers),
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, **_named(config)},
            "layers": [
                {"mediaType": _LAYER, "digest": f"sha256:{one.digest}", "size": one.size_bytes}
                for one in layers
            ],
        }
    )
    texts = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json(_index(settings, manifest)),
        "manifest.json": _json(_older(settings, config, layers)),
        _blob(_digest(config)): config,
        _blob(_digest(manifest)): manifest,
    }
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(6)}.new")
    try:
        with tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as archive:
            for name in sorted(texts):
                _add(archive, name, len(texts[name]), io.BytesIO(texts[name]))
            for layer in {one.digest: one for one in layers}.values():
                with layer.path.open("rb") as stream:
                    _add(archive, _blob(layer.digest), layer.size_bytes, stream)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise errors.PermanentError(f"cannot write {path}: {error.strerror}") from error
    return f"sha256:{_digest(manifest)}"


def _index(settings: Settings, manifest: bytes) -> dict[str, object]:
    platform = {"architecture": settings.architecture, "os": "linux"}
    tag = settings.name.rpartition(":")[2]
    annotations = {
        "io.containerd.image.name": settings.name,
        "org.opencontainers.image.ref.name": tag,
    }
    entry = {"mediaType": _MANIFEST, **_named(manifest), "platform": platform}
    return {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [{**entry, "annotations": annotations}],
    }


def _older(
    settings: Settings, config: bytes, layers: Sequence[tree.Layer]
) -> list[dict[str, object]]:
    names = [_blob(one.digest) for one in layers]
    return [{"Config": _blob(_digest(config)), "RepoTags": [settings.name], "Layers": names}]


def _add(archive: tarfile.TarFile, name: str, size_bytes: int, stream: object) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size_bytes, 0o644
    archive.addfile(member, stream)  # type: ignore[arg-type]  # anything with read


def _named(content: bytes) -> dict[str, object]:
    return {"digest": f"sha256:{_digest(content)}", "size": len(content)}


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
