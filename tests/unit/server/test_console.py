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
    made = console.Console("<p>", "folder")
    made.bind("127.0.0.1:0").close()
    return made


def _client(made: console.Console) -> testclient.TestClient:
    host = urllib.parse.urlsplit(made.url).netloc
    return testclient.TestClient(
        made.application(state=_state, log=_log), base_url=f"http://{host}"
    )


def test_the_token_opens_it_and_leaves_the_address(made: console.Console) -> None:
    client = _client(made)
    answer = client.get(made.url, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert client.get("/state").json() == {"project": "p"}
    page = client.get("/")
    assert "&lt;p&gt;" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "token" not in page.text
    assert client.get("/assets/console.js").status_code == 200
    assert client.get("/assets/frame.css").status_code == 200
    assert client.get("/assets/console.html").status_code == 404


@pytest.mark.parametrize("path", ["/", "/state", "/log?name=a", "/assets/console.js"])
def test_without_the_token_nothing_is_said(made: console.Console, path: str) -> None:
    assert _client(made).get(path).status_code == 403
    assert _client(made).get("/?token=wrong").status_code == 403


def test_by_another_name_nothing_is_said(made: console.Console) -> None:
    client = _client(made)
    client.get(made.url)
    assert client.get("/state", headers={"host": "evil.example"}).status_code == 421


def test_nothing_can_be_changed(made: console.Console) -> None:
    client = _client(made)
    client.get(made.url)
    assert client.post("/state").status_code == 405


def test_an_unknown_log_is_said_so(made: console.Console) -> None:
    client = _client(made)
    client.get(made.url)
    answer = client.get("/log?name=x")
    assert (answer.status_code, answer.text) == (400, 'no process "x"\n')


def test_an_address_that_is_taken_is_named(made: console.Console) -> None:
    other = console.Console("p", "")
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
