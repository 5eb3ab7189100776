"""The photo service of the example, as its clients see it."""

import contextlib
import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

APP = Path(__file__).parents[2] / "examples" / "photos" / "app.py"
ORIGINALS = 11  # the tenth is a PNG


@contextlib.contextmanager
def running(data: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start the service on a free port; yield its process and port; end it."""
    command = [sys.executable, str(APP), "--listen", "127.0.0.1:0", "--data", str(data)]
    command += ["--originals", str(ORIGINALS)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr:
        try:
            started = json.loads(process.stderr.readline())
            assert started["event"] == "listening"
            yield process, int(started["address"].rpartition(":")[2])
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="module")
def port(data: Path) -> Iterator[int]:
    with running(data) as (_, port):
        yield port


@pytest.fixture
def client(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    yield connection
    connection.close()


def ask(
    client: http.client.HTTPConnection, target: str, method: str = "GET", **fields: str
) -> tuple[http.client.HTTPResponse, bytes]:
    names = {name.replace("_", "-"): value for name, value in fields.items()}
    client.request(method, target, headers=names)
    response = client.getresponse()
    return response, response.read()


def stats(client: http.client.HTTPConnection) -> dict[str, int]:
    answer: dict[str, int] = json.loads(ask(client, "/stats")[1])
    return answer


def test_says_it_is_healthy_and_lists_its_photos(client: http.client.HTTPConnection) -> None:
    assert ask(client, "/healthz")[1] == b"ok\n"
    photos = json.loads(ask(client, "/photos")[1])["photos"]
    assert sorted(photos) == sorted(str(number) for number in range(ORIGINALS))


@pytest.mark.parametrize(
    ("photo", "width", "size"), [("0", 320, (320, 240)), ("1", 60, (60, 80)), ("9", 16, (16, 12))]
)
def test_renders_a_thumbnail_that_anyone_may_keep(
    client: http.client.HTTPConnection, photo: str, width: int, size: tuple[int, int]
) -> None:
    response, body = ask(client, f"/photos/{photo}?width={width}")
    assert response.status == 200
    assert response.getheader("Cache-Control") == "public, max-age=86400"
    assert response.getheader("Content-Length") == str(len(body))
    with Image.open(io.BytesIO(body)) as picture:
        assert (picture.format, picture.size) == ("JPEG", size)


def test_the_same_photo_has_the_same_bytes_and_another_has_others(
    client: http.client.HTTPConnection,
) -> None:
    first = ask(client, "/photos/2?width=100")
    again = ask(client, "/photos/2?width=100")
    other = ask(client, "/photos/3?width=100")
    assert first[1] == again[1] != other[1]
    assert first[0].getheader("ETag") == again[0].getheader("ETag") != other[0].getheader("ETag")


def test_counts_renders_and_views(client: http.client.HTTPConnection) -> None:
    before = stats(client)
    response, _ = ask(client, "/photos/4?width=50")
    ask(client, "/photos/4?width=50", If_None_Match=str(response.getheader("ETag")))
    ask(client, "/photos/4?width=50", method="HEAD")
    after = stats(client)
    assert after["renders"] - before["renders"] == 2  # the GET and the HEAD
    assert after["views"] - before["views"] == 2  # the two GETs


@pytest.mark.parametrize("form", ["{0}", 'W/{0}, "other"', '"other",{0}', "*"])
def test_a_client_that_has_the_picture_gets_304(
    client: http.client.HTTPConnection, form: str
) -> None:
    etag = str(ask(client, "/photos/5?width=50")[0].getheader("ETag"))
    response, body = ask(client, "/photos/5?width=50", If_None_Match=form.format(etag))
    assert (response.status, body) == (304, b"")
    assert response.getheader("ETag") == etag
    assert response.getheader("Content-Length") is None


def test_a_client_that_has_another_picture_gets_this_one(
    client: http.client.HTTPConnection,
) -> None:
    assert ask(client, "/photos/5?width=50", If_None_Match='"other"')[0].status == 200


def test_head_is_the_get_without_its_body(client: http.client.HTTPConnection) -> None:
    get, body = ask(client, "/photos/6?width=50")
    head, nothing = ask(client, "/photos/6?width=50", method="HEAD")
    assert (head.status, nothing) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Cache-Control"):
        assert head.getheader(name) == get.getheader(name)
    assert len(body) > 0


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/", 404),
        ("/photos/", 404),
        ("/photos/999", 404),
        ("/photos/..%2F..%2Fetc%2Fpasswd?width=50", 404),
        ("/photos/0/", 404),
        ("/photos/" + "0" * 33, 404),
        ("/photos/0?width=", 400),
        ("/photos/0?width=15", 400),
        ("/photos/0?width=1025", 400),
        ("/photos/0?width=-50", 400),
        ("/photos/0?width=050", 400),
        ("/photos/0?width=5e1", 400),
        ("/photos/0?width=%D9%A5%D9%A0", 400),  # digits, but not ours
        ("/photos/0?width=50&width=60", 400),
        ("/photos/0?" + "&".join(f"a{n}=1" for n in range(9)), 400),
    ],
)
def test_refuses_bad_input_and_counts_nothing(
    client: http.client.HTTPConnection, target: str, status: int
) -> None:
    before = stats(client)
    response, _ = ask(client, target)
    assert response.status == status
    assert response.getheader("Cache-Control") == "no-store"
    assert stats(client) == before


def test_a_body_on_a_get_never_becomes_a_request(port: int) -> None:
    hidden = b"GET /photos/0?width=50 HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(hidden)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.sendall(head + hidden)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := raw.recv(65536):
                answer += piece
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_keeps_originals_and_views_over_a_restart(tmp_path: Path) -> None:
    pages = []
    for _ in range(2):
        with running(tmp_path) as (_, port):
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            pages.append((ask(client, "/photos/7?width=50")[1], stats(client)["views"]))
            client.close()
    assert pages[0][0] == pages[1][0]
    assert [views for _, views in pages] == [1, 2]


def test_a_half_made_set_of_originals_is_made_anew(tmp_path: Path) -> None:
    aside = tmp_path / f"making-1-{ORIGINALS}"
    aside.mkdir()
    (aside / "0.jpg").write_bytes(b"cut short")
    with running(tmp_path) as (_, port):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        assert ask(client, "/photos/0?width=50")[0].status == 200
        client.close()
    assert not aside.exists()


def test_sigterm_finishes_the_answers_and_ends_idle_connections(data: Path) -> None:
    with running(data) as (process, port):
        idle = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        ask(idle, "/healthz")
        statuses: list[int] = []

        def view(photo: int) -> None:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            statuses.append(ask(client, f"/photos/{photo}?width=1000")[0].status)
            client.close()

        viewers = [threading.Thread(target=view, args=(photo,)) for photo in range(6)]
        before = stats(idle)["views"]
        for viewer in viewers:
            viewer.start()
        while stats(idle)["views"] < before + len(viewers):
            pass  # all are being rendered, or wait for it
        process.send_signal(signal.SIGTERM)
        for viewer in viewers:
            viewer.join(timeout=20)
        assert process.wait(timeout=20) == 0
        idle.close()
    assert statuses == [200] * len(viewers)


def refused(*flags: str | Path) -> subprocess.CompletedProcess[str]:
    """Return how the service ends that cannot start."""
    command = [sys.executable, str(APP), *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_taken_address_is_named_and_ends_with_3(data: Path, port: int) -> None:
    address = f"127.0.0.1:{port}"
    found = refused("--listen", address, "--data", data, "--originals", str(ORIGINALS))
    assert found.returncode == 3
    assert json.loads(found.stderr)["address"] == address


@pytest.mark.parametrize("flags", [["--listen", "8000"], ["--originals", "0"], ["--seed", "x"]])
def test_wrong_flags_end_with_2(flags: list[str], tmp_path: Path) -> None:
    assert refused("--data", tmp_path, *flags).returncode == 2
