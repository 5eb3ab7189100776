"""What a data-plane process reads at a restart is what it has accepted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import cast

import pytest

from alongside.base import environment, errors, fake_clock
from alongside.engines.local import children, engine, folders
from alongside.engines.processes import admin, groups, logs
from alongside.plan import documents, shape

OLD = documents.Wanted("old", frozenset(), frozenset({"a"}))
NEW = documents.Wanted("new", frozenset(), frozenset({"b"}))
REFUSAL = errors.PeerError("no", side="upstream", retry=False)
SILENCE = errors.TemporaryError("silent", retry_after_s=0.1)


class Running:
    """A child that runs."""

    process = shape.Process("router", "router")
    identity = groups.Identity(1, 1)
    state = "ready"


class Door:
    """An admin door that answers each document with the next of its outcomes."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes = list(outcomes)

    async def put_document(self, _: bytes) -> None:
        """Answer as told."""
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise outcome


class Doored(engine.Engine):
    """An engine whose one process runs with OLD, behind a door of ours."""

    def __init__(self, tmp_path: Path, door: Door) -> None:
        places = folders.Folders(tmp_path / "state", tmp_path / "run")
        places.make()
        setting = engine.Setting("p", places, Path("/none"), environment.Environment({}))
        super().__init__(setting, fake_clock.FakeClock(), lambda: None)
        self.door = door
        self.children["router"] = cast("children.Child", Running())
        self._documents["router"], self._contents["router"] = OLD, b"old"

    def admin(self, name: str, *, timeout_s: float = admin.TIMEOUT_S) -> admin.Admin:
        """Return our door."""
        return cast("admin.Admin", self.door)

    def give(self, document: documents.Wanted) -> None:
        """Configure the process."""
        asyncio.run(self.configure("router", document, document.body.encode()))

    def on_disk(self) -> str:
        """Return what a restart would read."""
        return self.setting.folders.document("router").read_text()


def test_a_refused_document_is_not_what_a_restart_reads(tmp_path: Path) -> None:
    held = Doored(tmp_path, Door(REFUSAL))
    with pytest.raises(errors.PeerError):
        held.give(NEW)
    assert (held.on_disk(), held.observed()["router"].document) == ("old", OLD)


def test_an_unanswered_document_counts_beside_the_old_one_until_one_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "DOCUMENT_WAIT_S", -1.0)
    held = Doored(tmp_path, Door(SILENCE, REFUSAL, None))
    for outcome in (errors.TemporaryError, errors.PeerError):
        with pytest.raises(outcome):
            held.give(NEW)
        seen = held.observed()["router"].document
        assert seen is not None
        assert (sorted(seen.uses), seen == OLD, seen == NEW) == (["a", "b"], False, False)
    held.give(OLD)
    assert (held.on_disk(), held.observed()["router"].document) == ("old", OLD)


def test_every_log_is_bounded_the_supervisors_too(tmp_path: Path) -> None:
    held = Doored(tmp_path, Door())
    places = held.setting.folders
    for path in (places.supervisor_log, places.log("router")):
        path.touch()
        os.truncate(path, logs.LOG_BYTES_MAX + 1)
    held.tidy()
    assert (places.supervisor_log.stat().st_size, places.log("router").stat().st_size) == (0, 0)
