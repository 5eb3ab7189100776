"""Our images in a real Docker engine and a real containerd: started by variables, as nobody."""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import docker, plane, upstream, wire

from alongside.base import release
from alongside.contract import catalogue, written
from alongside.images import bill, build

pytestmark = [pytest.mark.needs("dockerd", "debootstrap", "ctr"), pytest.mark.timeout(900)]
VERSION = release.version()
ALONGSIDE, DATAPLANE = f"alongside:{VERSION}", f"alongside-dataplane:{VERSION}"


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    ran = docker.build(folder, "--base", str(docker.base()))
    assert ran.returncode == 0, ran.stderr
    sys.stdout.write(ran.stdout)
    return folder


@pytest.fixture(scope="module")
def own_engine(archives: Path) -> Iterator[docker.Engine]:
    with docker.engine() as engine:
        for path in sorted(archives.glob("*.tar")):
            loaded = engine.docker("load", "--input", str(path))
            assert loaded.returncode == 0, loaded.stderr
        yield engine


@pytest.fixture
def engine(own_engine: docker.Engine) -> Iterator[docker.Engine]:
    yield own_engine
    own_engine.clean()


def ok(_: wire.Message) -> bytes:
    return wire.answer(b"from the origin", "Cache-Control: max-age=60")


def listening(engine: docker.Engine, name: str, listener: str = "web") -> tuple[str, int]:
    """Return where a container says it listens, once it does."""
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        for line in engine.log(name).splitlines():
            told = json.loads(line) if line.startswith("{") else {}
            if told.get("event") == "listening" and told.get("listener") == listener:
                host, _, port = told["address"].rpartition(":")
                return host, int(port)
        time.sleep(0.05)
    raise AssertionError(engine.log(name))


def test_a_component_is_started_by_variables_alone(engine: docker.Engine) -> None:
    with upstream.Upstream.answering(ok) as origin:
        engine.start(
            "cache",
            *("--env", "CACHE_LISTEN=127.0.0.1:0"),
            *("--env", f"CACHE_ORIGIN=http://{origin.address}"),
            *("--env", "CACHE_SERVICE_HOST=10.0.0.1"),
            *(ALONGSIDE, "cache"),
        )
        address = listening(engine, "cache")
        assert wire.fetch(address, "/a").body == b"from the origin"
        assert wire.fetch(address, "/a").body == b"from the origin"
        assert len(origin.requests) == 1
    assert "65532" in engine.docker("exec", "cache", "id", "--user").stdout
    assert engine.docker("stop", "cache").returncode == 0
    ended = engine.docker("inspect", "cache", "--format", "{{.State.ExitCode}}")
    assert ended.stdout.strip() == "0"


def test_wrong_variables_are_told_all_at_once_and_nothing_starts(engine: docker.Engine) -> None:
    ran = engine.docker(
        *("run", "--rm", "--network", "none", "--env", "CACHE_MEMORY=64"),
        *("--env", "CACHE_ORIGN=http://x", "--env", "CACHE_LISTEN=", ALONGSIDE, "cache"),
    )
    assert ran.returncode == 2
    assert [line.split(": ")[1] for line in ran.stderr.splitlines()[:4]] == [
        "CACHE_LISTEN",
        "--origin",
        "CACHE_MEMORY",
        '"CACHE_ORIGN"',
    ]


def test_the_data_plane_alone_serves_a_document_and_finds_names(
    engine: docker.Engine, tmp_path: Path
) -> None:
    with upstream.Upstream.answering(ok) as origin:
        named = origin.address.replace("127.0.0.1", "localhost")
        (tmp_path / "document.json").write_text(json.dumps(plane.document("route", named)))
        tmp_path.chmod(0o755)
        engine.start("plane", "--volume", f"{tmp_path}:/etc/alongside:ro", DATAPLANE)
        assert wire.fetch(listening(engine, "plane"), "/").body == b"from the origin"


PORTS = {"8080/tcp", "8443/tcp", "9090/tcp", "22222/tcp"}


def test_the_images_hold_what_is_promised(archives: Path, engine: docker.Engine) -> None:
    inspected = engine.docker("inspect", ALONGSIDE, DATAPLANE)
    whole, plane_alone = json.loads(inspected.stdout)
    assert plane_alone["Size"] <= build.BYTES_MAX["alongside-dataplane"]
    for image in (whole, plane_alone):
        assert image["Config"]["User"] == "65532:65532"
        assert set(image["Config"]["ExposedPorts"]) == PORTS
        labels = image["Config"]["Labels"]
        assert labels["org.opencontainers.image.version"] == VERSION
    promised = {
        f"dev.alongside.contract.{name}": written.digest(catalogue.contract_of(name))
        for name in catalogue.NAMES
    }
    assert promised.items() <= whole["Config"]["Labels"].items()
    assert not promised.keys() & plane_alone["Config"]["Labels"].keys()
    sys.stdout.write(
        f"{ALONGSIDE} {whole['Size']} bytes, {DATAPLANE} {plane_alone['Size']} bytes\n"
    )
    names = {part["name"] for part in bill_of(archives / f"alongside-dataplane-{VERSION}.tar")}
    assert {"httparse", "libc6", "alongside-dataplane"} <= names
    assert "click" not in names
    names = {part["name"] for part in bill_of(archives / f"alongside-{VERSION}.tar")}
    assert {"httparse", "click", "pydantic-core", "python3-minimal", "libc6"} <= names


def bill_of(path: Path) -> list[dict[str, str]]:
    """Return the parts in the bill of an image, from its last layer."""
    with tarfile.open(path) as outer:
        manifest = outer.extractfile("manifest.json")
        assert manifest is not None
        layer = outer.extractfile(json.load(manifest)[0]["Layers"][-1])
        with tarfile.open(fileobj=layer) as inner:
            stream = inner.extractfile(bill.PLACE)
            assert stream is not None
            packages: list[dict[str, str]] = json.load(stream)["packages"]
            return packages


def test_the_same_inputs_give_the_same_bytes(archives: Path, tmp_path: Path) -> None:
    """Also for somebody else: with another mask, zone, language, seed and home."""
    before = os.umask(0o077)
    try:
        ran = docker.build(
            tmp_path,
            *("--base", str(docker.base())),
            TZ="Asia/Tokyo",
            LC_ALL="C",
            PYTHONHASHSEED="7",
            HOME=str(tmp_path),
        )
    finally:
        os.umask(before)
    assert ran.returncode == 0, ran.stderr
    for path in archives.glob("*.tar"):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_a_docker_engine_gives_the_base_and_takes_the_images(
    engine: docker.Engine, tmp_path: Path
) -> None:
    ran = docker.build(
        tmp_path, "--docker", "--base", ALONGSIDE, "--tag", "again", DOCKER_HOST=engine.host
    )
    assert ran.returncode == 0, ran.stderr
    told = engine.docker("run", "--rm", "--network", "none", "alongside:again", "--version")
    assert told.stdout == f"alongside {VERSION}\n"
    ran = docker.build(tmp_path, "--docker", "--base", "none:none", DOCKER_HOST=engine.host)
    assert (ran.returncode, "no image" in ran.stderr) == (2, True)


def test_the_same_archives_load_into_containerd(archives: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="cd") as text:
        socket = f"{text}/c.sock"
        docker.keep_in_memory(Path(text, "r"))
        daemon = subprocess.Popen(
            ["containerd", "--root", f"{text}/r", "--state", f"{text}/s", "--address", socket],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(daemon, socket)
            for path in sorted(archives.glob("*.tar")):
                docker.run("ctr", "--address", socket, "images", "import", str(path))
            listed = docker.run("ctr", "--address", socket, "images", "list", "--quiet")
            [name] = [line for line in listed.split() if DATAPLANE in line]
            told = docker.run(
                *("ctr", "--address", socket, "run", "--rm", "--read-only", name, "one"),
                *("/usr/local/bin/alongside-dataplane", "--version"),
            )
            assert told == f"alongside-dataplane {VERSION}\n"
        finally:
            daemon.terminate()
            daemon.wait(30)
            docker.unmount(Path(text))


def wait_for(daemon: subprocess.Popen[bytes], socket: str) -> None:
    until_s = time.monotonic() + docker.START_S
    while subprocess.run(
        ["ctr", "--address", socket, "version"], capture_output=True, check=False
    ).returncode:
        assert daemon.poll() is None
        assert time.monotonic() < until_s
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--only", "alongside"), "--base: is missing"),
        (("--base", "/nonexistent"), '--base: "/nonexistent" is no file'),
        (("--base", os.devnull), "is no file"),
        (("--base", __file__), "is no archive of a root file system or an image"),
        (("--certificates", "gone"), '--certificates: "gone" is no file'),
        (("--tag", "a:b"), '--tag: "a:b" is no tag'),
    ],
)
def test_a_wrong_base_is_one_line_and_exit_2(
    tmp_path: Path, words: tuple[str, ...], wanted: str
) -> None:
    ran = docker.build(tmp_path / "out", *words)
    assert ran.returncode == 2
    assert wanted in ran.stderr.splitlines()[0]
    assert not list((tmp_path / "out").glob("**/*"))
