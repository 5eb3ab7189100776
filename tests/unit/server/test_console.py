"""Who may read the console."""

from __future__ import annotations

import urllib.parse

import pytest
from starlette import requests, testclient

from alongside.base import errors
from alongside.server import console


async def _state(_: requests.Request) -> object:
    return {"project": "p"}


async def _log(request: requests.Request) -> object:
    raise errors.UsageError(f'no process "{request.query_params["name"]}"')


@pytest.fixture
def made() -> console.Console:
    made = console.Console()
    made.bind("127.0.0.1:0").close()
    return made


def _client(made: console.Console, *, has_token: bool = True) -> testclient.TestClient:
    parts = urllib.parse.urlsplit(made.url)
    fields = {"authorization": f"Bearer {parts.fragment}"} if has_token else {}
    application = made.application(state=_state, log=_log)
    return testclient.TestClient(application, base_url=f"http://{parts.netloc}", headers=fields)


def test_the_token_stands_where_no_server_hears_of_it(made: console.Console) -> None:
    parts = urllib.parse.urlsplit(made.url)
    assert (parts.path, parts.query) == ("/", "")
    assert len(parts.fragment) >= console.TOKEN_BYTES
    client = _client(made)
    assert client.get("/state").json() == {"project": "p"}
    page = client.get("/")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "set-cookie" not in page.headers
    assert parts.fragment not in page.text
    assert client.get("/assets/console.js").status_code == 200
    assert client.get("/assets/frame.css").status_code == 200
    assert client.get("/assets/console.html").status_code == 404


@pytest.mark.parametrize("path", ["/state", "/log?name=a"])
def test_without_the_token_nothing_is_said(made: console.Console, path: str) -> None:
    assert _client(made, has_token=False).get(path).status_code == 403
    wrong = {"authorization": "Bearer wrong"}
    assert _client(made, has_token=False).get(path, headers=wrong).status_code == 403


def test_by_another_name_nothing_is_said(made: console.Console) -> None:
    for path in ("/", "/state", "/assets/console.js"):
        assert _client(made).get(path, headers={"host": "evil.example"}).status_code == 421


def test_nothing_can_be_changed(made: console.Console) -> None:
    assert _client(made).post("/state").status_code == 405


def test_an_unknown_log_is_said_so(made: console.Console) -> None:
    answer = _client(made).get("/log?name=x")
    assert (answer.status_code, answer.text) == (400, 'no process "x"\n')


def test_an_address_that_is_taken_is_named(made: console.Console) -> None:
    other = console.Console()
    with other.bind("127.0.0.1:0") as bound:
        port = bound.getsockname()[1]
        with pytest.raises(errors.AddressTakenError, match=f"127.0.0.1:{port} cannot be used"):
            made.bind(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    "address", ["0.0.0.0:0", "10.0.0.1:80", "localhost:1", "127.0.0.1:70000", "127.0.0.1", ""]
)
def test_only_the_loopback_is_allowed(made: console.Console, address: str) -> None:
    with pytest.raises(errors.UsageError, match="no address of this machine's loopback"):
        made.bind(address)
