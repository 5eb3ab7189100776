"""The wheel is whole: it installs where there is no Rust, and what it installs serves."""

from __future__ import annotations

import http.server
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ports
from tests.contract import wheels

pytestmark = pytest.mark.timeout(600)  # a first build without `make build` compiles everything


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of this tree."""
    return wheels.wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> wheels.Installed:
    """Return an environment without Rust that has the wheel."""
    return wheels.install(wheel, tmp_path_factory.mktemp("clean"))


@pytest.fixture
def origin() -> Iterator[tuple[str, list[str]]]:
    """Serve a page that may be kept for a minute; return the address and the paths asked for."""
    asked: list[str] = []

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("content-length", "5")
            self.send_header("cache-control", "max-age=60")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_the_wheel_holds_the_three_artefacts_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert "cp311-abi3" in wheel.name
    assert {"alongside/_native.abi3.so", "alongside/_native.pyi", "alongside/py.typed"} <= set(
        names
    )
    assert [name for name in names if name.endswith(".data/scripts/alongside-dataplane")]
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert {top for top in tops if not top.startswith("alongside-")} == {"alongside"}


def test_the_environment_has_no_rust() -> None:
    assert shutil.which("cargo", path=wheels.BARE_PATH) is None
    assert shutil.which("rustc", path=wheels.BARE_PATH) is None


@pytest.mark.parametrize("command", ["alongside", "alongside-dataplane"])
def test_commands_tell_the_version_of_the_wheel(
    installed: wheels.Installed, wheel: Path, command: str
) -> None:
    done = installed.run(command, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert wheel.name.split("-")[1] in done.stdout


def test_nutcracker_is_the_ambassador_under_twemproxys_name(
    installed: wheels.Installed, wheel: Path
) -> None:
    done = installed.run("nutcracker", "-V")
    assert (done.returncode, done.stdout) == (0, "")
    assert wheel.name.split("-")[1] in done.stderr


@pytest.mark.parametrize("component", ["ambassador", "cache", "route", "up"])
def test_components_explain_themselves(installed: wheels.Installed, component: str) -> None:
    done = installed.run("alongside", component, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"alongside {component}" in done.stdout


def test_the_extension_is_found(installed: wheels.Installed) -> None:
    done = installed.run("python", "-c", "from alongside import native; print(native.__file__)")
    assert done.returncode == 0, done.stderr
    assert str(installed.folder) in done.stdout


def test_a_router_in_front_of_a_cache_serves(
    installed: wheels.Installed, origin: tuple[str, list[str]]
) -> None:
    address, asked = origin
    cache, web = (f"127.0.0.1:{ports.free_port()}" for _ in range(2))
    with (
        installed.running("cache", "--listen", cache, "--origin", f"http://{address}"),
        installed.running("route", "--listen", web, "--node", f"a={cache}"),
    ):
        ports.get(f"http://{cache}/ready")
        bodies = [ports.get(f"http://{web}/page") for _ in range(3)]
    assert bodies == [b"hello"] * 3
    assert asked.count("/page") == 1
