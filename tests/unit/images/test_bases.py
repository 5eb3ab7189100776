"""A base is a root file system's tar or an image's archive, whole or refused."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from alongside.base import errors
from alongside.images import archive, bases, tree

ROOT = {"usr/bin/python3.9": b"", "usr/bin/python3.11": b"", "etc/passwd": b""}
SETTINGS = archive.Settings(
    name="base:1",
    architecture="amd64",
    entrypoint=("/x",),
    command=(),
    user="0",
    environment=("PATH=/bin", "LANG=C"),
    exposed=(),
    labels={},
)


def packed(path: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as stream:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            stream.addfile(member, io.BytesIO(content))
    return path


def unpacked_folder(tmp_path: Path) -> Path:
    (tmp_path / "layers").mkdir()
    return tmp_path / "layers"


@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_root_file_system_is_one_layer_as_it_is(tmp_path: Path, prefix: str) -> None:
    path = packed(tmp_path / "root.tar", {f"{prefix}{name}": ROOT[name] for name in ROOT})
    base = bases.read(path, unpacked_folder(tmp_path))
    [layer] = base.layers
    assert layer.digest == tree.digest_of(path)
    assert base.pythons == ("/usr/bin/python3.11", "/usr/bin/python3.9")
    assert base.environment == ()


def test_a_compressed_one_is_named_by_what_it_holds(tmp_path: Path) -> None:
    plain = packed(tmp_path / "root.tar", ROOT)
    path = tmp_path / "root.tar.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    [layer] = bases.read(path, unpacked_folder(tmp_path)).layers
    assert layer.digest == tree.digest_of(plain)


def test_an_image_of_ours_can_be_built_upon(tmp_path: Path) -> None:
    below = tree.write_layer([tree.Entry(path="usr/local/bin/python3.12")], tmp_path)
    above = tree.write_layer([tree.Entry(path="x", content=b"x")], tmp_path)
    path = tmp_path / "image.tar"
    archive.write(SETTINGS, [below, above], path)
    base = bases.read(path, unpacked_folder(tmp_path))
    assert [layer.digest for layer in base.layers] == [below.digest, above.digest]
    assert base.environment == ("PATH=/bin", "LANG=C")
    assert (base.pythons, base.architecture) == (("/usr/local/bin/python3.12",), "amd64")


@pytest.mark.parametrize(
    "files",
    [
        {"manifest.json": b"{"},
        {"manifest.json": b"[]"},
        {"manifest.json": json.dumps([{"Config": "gone", "Layers": []}]).encode()},
        {"manifest.json": json.dumps([{"Config": "c", "Layers": ["gone"]}]).encode(), "c": b"{}"},
        {"manifest.json": json.dumps([{"Config": "c", "Layers": ["c"] * 200}]).encode(), "c": b"1"},
        {"manifest.json": b" " * 5_000_000},
        {"manifest.json": b"[" * 200_000},
        {
            "manifest.json": json.dumps([{"Config": "c", "Layers": ["l"]}]).encode(),
            "c": b'{"config": {"Env": "PATH=/x"}}',
            "l": b"",
        },
        {
            "manifest.json": json.dumps([{"Config": "c", "Layers": ["l"]}]).encode(),
            "c": b"{}",
            "l": gzip.compress(bytes(99_999))[:60] + b"x" * 40,
        },
        {"index.json": b"{}"},
    ],
)
def test_a_broken_image_is_refused(tmp_path: Path, files: Mapping[str, bytes]) -> None:
    path = packed(tmp_path / "image.tar", files)
    with pytest.raises(errors.UsageError, match=r"image\.tar"):
        bases.read(path, unpacked_folder(tmp_path))


def test_a_python_that_an_upper_layer_removed_does_not_count(tmp_path: Path) -> None:
    below = tree.write_layer([tree.Entry(path=name) for name in ROOT], tmp_path)
    above = tree.write_layer([tree.Entry(path="usr/bin/.wh.python3.11")], tmp_path)
    path = tmp_path / "image.tar"
    archive.write(SETTINGS, [below, above], path)
    assert bases.read(path, unpacked_folder(tmp_path)).pythons == ("/usr/bin/python3.9",)


def test_a_layer_that_does_not_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "root.tar", {"zeros": bytes(2**20)})
    path.write_bytes(gzip.compress(path.read_bytes()))
    monkeypatch.setattr(bases, "LAYER_BYTES_MAX", 2**19)
    with pytest.raises(errors.UsageError, match="larger than 512Ki"):
        bases.read(path, unpacked_folder(tmp_path))


@pytest.mark.parametrize(
    "content",
    [b"", b"no tar", b"\x1f\x8bxx", gzip.compress(bytes(99_999))[:40], b"\xfd7zXZ\x00" + bytes(40)],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(errors.UsageError, match=r"x\.tar"):
        bases.read(path, unpacked_folder(tmp_path))
