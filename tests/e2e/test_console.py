"""The console in a real browser, with fifty pods."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright import sync_api
from tests.e2e import browser, fleets

pytestmark = [
    fleets.NEEDS_DATA_PLANE,
    pytest.mark.needs("chromium"),
    pytest.mark.timeout(240),
]

PODS = 50
POD = """\
---
apiVersion: v1
kind: Pod
metadata: {{name: pod-{at}}}
spec:
  containers:
    - name: first
      command: [sh, -c, "echo hello of {at}; exec sleep 1000"]
    - name: second
      command: [sleep, "1000"]
"""
WAIT_MS = 20_000
SHOTS = os.environ.get("SCREENSHOTS")
"""A folder for pictures of the page, as the docs show them."""


def written(fleet: fleets.Fleet, count: int) -> Path:
    """Write a file of pods with two containers each; return its path."""
    folder = fleet.base / "photos"
    folder.mkdir(exist_ok=True)
    path = folder / "pods.yaml"
    path.write_text("".join(POD.format(at=at) for at in range(count)))
    return path


@pytest.fixture(scope="module")
def fleet() -> Iterator[fleets.Fleet]:
    with fleets.project() as made:
        made.up(written(made, PODS))
        yield made


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    with browser.opened() as made:
        yield made


@pytest.fixture
def page(fleet: fleets.Fleet, chromium: sync_api.Browser) -> Iterator[sync_api.Page]:
    address = json.loads(fleet.run("status", "--json")[1])["console"]
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        opened = context.new_page()
        opened.goto(address)
        opened.wait_for_selector("#processes tr")
        yield opened


def test_shows_every_pod_and_its_containers(page: sync_api.Page) -> None:
    sync_api.expect(page.locator("#processes tr:not(.inner)")).to_have_count(PODS)
    sync_api.expect(page.locator("#processes tr.inner")).to_have_count(2 * PODS)
    sync_api.expect(page.locator("#ready")).to_have_text(str(PODS), timeout=WAIT_MS)
    sync_api.expect(page.locator("#word")).to_have_text("all is ready", timeout=WAIT_MS)
    assert "#" not in page.url
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "console.png"))


def test_finds_by_name_and_shows_a_log(page: sync_api.Page) -> None:
    page.get_by_label("Name contains").fill("pod-17")
    sync_api.expect(page.locator("#processes tr:not(.inner)")).to_have_count(1)
    page.get_by_role("button", name="Show the log of pod-17/first").click()
    sync_api.expect(page.locator("#log")).to_contain_text("hello of 17", timeout=WAIT_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_keeps_nobody_out(page: sync_api.Page, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.get_by_role("button", name="Show the log of pod-3/first").click()
    sync_api.expect(page.locator("#log")).to_contain_text("hello", timeout=WAIT_MS)
    assert browser.violations(page) == []


def test_follows_what_happens(page: sync_api.Page, fleet: fleets.Fleet) -> None:
    found = json.loads(fleet.run("status", "--json")[1])["processes"]
    (pod,) = [one for one in found if one["name"] == "pod-5"]
    os.kill(int(pod["containers"][1]["id"]), 9)
    row = page.locator("#processes tr:not(.inner)").filter(
        has=page.get_by_text("pod-5", exact=True)
    )
    sync_api.expect(row.locator("td.number").first).to_have_text("1", timeout=WAIT_MS)


def test_says_what_is_missing_without_the_token(
    fleet: fleets.Fleet, chromium: sync_api.Browser
) -> None:
    address = json.loads(fleet.run("status", "--json")[1])["console"]
    with chromium.new_context() as context:
        opened = context.new_page()
        opened.goto(address.partition("#")[0])
        sync_api.expect(opened.locator("#lost")).to_contain_text("lacks its token")
        assert opened.locator("#processes tr").count() == 0


def test_says_that_it_is_old_when_the_supervisor_is_gone(
    chromium: sync_api.Browser,
) -> None:
    with fleets.project() as made:
        made.up(written(made, 1))
        address = json.loads(made.run("status", "--json")[1])["console"]
        opened = chromium.new_page()
        opened.goto(address)
        opened.wait_for_selector("#processes tr")
        made.run("down")
        sync_api.expect(opened.locator("#lost")).to_be_visible(timeout=WAIT_MS)
        opened.close()
