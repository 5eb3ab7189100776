"""Who holds the sockets of what `up` runs is no service that somebody has here."""

from __future__ import annotations

import pytest

from alongside.engines.processes import services


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (" ".join(("python", *services.SUPERVISOR, "photos")), True),
        ("python -m alongside up photos.yaml", True),
        ("/venv/bin/python /venv/bin/alongside up photos.yaml --detach", True),
        ("python -m alongside run -- python3 app.py", False),
        ("python -m http.server 8000", False),
        ("python /home/me/app.py up", False),
        ("nginx", False),
    ],
)
def test_a_supervisor_is_known_by_its_words(words: str, *, expected: bool) -> None:
    assert services.supervises(words.split()) == expected
