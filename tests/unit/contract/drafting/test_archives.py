"""Images are read from what `docker save` writes; damaged and hostile ones are refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from alongside.base import environment, errors
from alongside.contract.drafting import archives, configurations, sources

CONFIGURATION = {
    "architecture": "amd64",
    "config": {
        "Env": ["PATH=/bin", "APP_PORT=80", "EMPTY=", "=x"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "x": {}, "0/tcp": {}},
        "Labels": {"org.opencontainers.image.title": "App"},
        "User": "5",
        "Volumes": {"/data": {}},
        "StopSignal": "SIGQUIT",
        "Entrypoint": ["/bin/sh", "-c", "exec app"],
        "Healthcheck": {"Test": ["CMD-SHELL", "curl http://localhost/up"]},
    },
}
CONTENT = json.dumps(CONFIGURATION).encode()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def layout(configuration: bytes = CONTENT, platforms: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Return the files of an OCI layout; every platform has the same image."""
    manifest = json.dumps({"config": {"digest": f"sha256:{digest(configuration)}"}}).encode()
    descriptor = {"digest": f"sha256:{digest(manifest)}"}
    real = [
        {**descriptor, "platform": dict(zip(("os", "architecture"), one.split("/"), strict=True))}
        for one in platforms
    ]
    index = json.dumps({"manifests": real or [descriptor]}).encode()
    return {
        "oci-layout": b"{}",
        "index.json": index,
        f"blobs/sha256/{digest(manifest)}": manifest,
        f"blobs/sha256/{digest(configuration)}": configuration,
    }


def saved(configuration: bytes = CONTENT) -> dict[str, bytes]:
    """Return the files that older engines save."""
    name = f"{digest(configuration)}.json"
    return {"manifest.json": json.dumps([{"Config": name}]).encode(), name: configuration}


def tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def written(folder: Path, content: bytes) -> Path:
    path = folder / "image.tar"
    path.write_bytes(content)
    return path


def refused(path: Path, why: str) -> None:
    with pytest.raises(errors.UsageError, match=why):
        archives.configuration(path)


@pytest.mark.parametrize("files", [layout(), saved(), layout(platforms=("linux/arm64",))])
def test_an_archive_is_read(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert archives.configuration(written(tmp_path, tar(files))) == CONFIGURATION
    assert archives.configuration(written(tmp_path, gzip.compress(tar(files)))) == CONFIGURATION


def test_a_folder_is_read(tmp_path: Path) -> None:
    for name, content in layout().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    found = sources.image(str(tmp_path), sources.Wishes(), environment.Environment())
    assert found.user
    assert found.user.text == "5"


def test_a_configuration_says_what_a_dockerfile_would() -> None:
    found = configurations.image_of(CONFIGURATION, "app")
    assert {name: one.value.text for name, one in found.variables.items()} == {
        "PATH": "/bin",
        "APP_PORT": "80",
        "EMPTY": "",
    }
    assert [(one.first, one.protocol) for one in found.exposed] == [(53, "udp"), (80, "tcp")]
    assert found.entrypoint
    assert (found.entrypoint.words, found.entrypoint.is_shell) == (
        ("exec app",),
        True,
    )
    assert found.health
    assert found.health.command == "curl http://localhost/up"
    assert [one.text for one in found.volumes] == ["/data"]


def test_the_platform_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path, tar(layout(platforms=("linux/amd64", "linux/arm64"))))
    assert archives.configuration(path, "linux/arm64") == CONFIGURATION
    with pytest.raises(errors.UsageError, match="it has linux/amd64"):
        archives.configuration(path, "linux/s390x")


def test_content_that_is_not_what_its_digest_says_is_refused(tmp_path: Path) -> None:
    files = layout()
    files[f"blobs/sha256/{digest(CONTENT)}"] = b"{}"
    refused(written(tmp_path, tar(files)), "its content is not what it says")


@pytest.mark.parametrize(
    ("name", "why"),
    [("../../etc/passwd", "is missing"), ("/etc/passwd", "is missing"), ("a\nb", "is missing")],
)
def test_a_path_that_leads_out_is_not_followed(tmp_path: Path, name: str, why: str) -> None:
    manifest = {"manifest.json": json.dumps([{"Config": name}]).encode()}
    refused(written(tmp_path, tar(manifest)), why)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("index.json")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    refused(written(tmp_path, stream.getvalue()), "is no file of at most")


def test_a_link_out_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    inside = tmp_path / "layout"
    inside.mkdir()
    (tmp_path / "secret").write_text("{}")
    (inside / "index.json").symlink_to(tmp_path / "secret")
    refused(inside, "leads out of the folder")


def test_a_member_that_says_it_is_huge_is_not_read(tmp_path: Path) -> None:
    member = tarfile.TarInfo("index.json")
    member.size = 1 << 40
    refused(written(tmp_path, member.tobuf(tarfile.GNU_FORMAT) + b"{}" * 1000), "image.tar")


def test_a_header_that_fills_the_memory_is_not_read(tmp_path: Path) -> None:
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 1 << 36
    refused(
        written(tmp_path, member.tobuf(tarfile.GNU_FORMAT) + b"0" * 4096), "header that is too long"
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 1024, gzip.compress(b"x" * 1024), gzip.compress(tar(layout()))[:200], tar({})],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    refused(written(tmp_path, content), "image.tar: ")


@pytest.mark.parametrize("value", [b"[", b"[]", b"{}", b"[1]", b"[" * 100_000, b'{"manifests": 5}'])
def test_an_index_of_another_shape_is_refused(tmp_path: Path, value: bytes) -> None:
    refused(written(tmp_path, tar({"index.json": value})), "image.tar: ")
    refused(written(tmp_path, tar({"manifest.json": value})), "image.tar: ")


def test_an_index_that_names_itself_comes_to_an_end(tmp_path: Path) -> None:
    files = layout()
    inner = files["index.json"]
    for _ in range(6):
        files[f"blobs/sha256/{digest(inner)}"] = inner
        inner = json.dumps({"manifests": [{"digest": f"sha256:{digest(inner)}"}]}).encode()
    refused(written(tmp_path, tar({**files, "index.json": inner})), "leads to no image")


@pytest.mark.parametrize("value", [None, 5, [], {}, {"config": []}, {"Config": None}])
def test_a_configuration_of_another_shape_is_refused(value: object) -> None:
    with pytest.raises(errors.UsageError):
        configurations.image_of(value, "app")


def test_members_of_another_type_are_passed_over() -> None:
    odd = {"config": {"Env": [5, "A=1"], "ExposedPorts": [], "Labels": 1, "User": 5, "Cmd": "x"}}
    found = configurations.image_of(odd, "app")
    assert (list(found.variables), found.exposed, found.user) == (["A"], (), None)
