"""Only a release build is measured; its documents are right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.http import ours

from alongside import native


def test_a_release_build_is_measured() -> None:
    assert ours.judged({"version": "0.1.0", "profile": "release"}) == "0.1.0"


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        ({"version": "0.1.0", "profile": "debug"}, "is a debug build"),
        ({"version": "0.1.0"}, "does not say how it was built"),
    ],
)
def test_any_other_build_is_refused(version: dict[str, object], complaint: str) -> None:
    with pytest.raises(ours.BuildError, match=complaint):
        ours.judged(version)


@pytest.mark.parametrize(
    "document",
    [
        ours.router(8080, [(1, 1), (2, 3)], 4),
        ours.cache(8080, 1, ["::1/128"], [2]),
        ours.sealed(ours.sidecar(8080, 1), Path("/tmp/pair.pem")),  # noqa: S108 - not opened
    ],
)
def test_the_data_plane_takes_its_documents(document: ours.Document) -> None:
    whole = {"schema": 1, "epoch": 0, "generation": 1, **document}
    assert native.check_document(json.dumps(whole).encode()) == []
