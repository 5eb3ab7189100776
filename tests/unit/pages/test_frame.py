"""The frame of pages."""

import pytest

from alongside.pages import frame


def test_what_comes_from_elsewhere_is_text() -> None:
    page = frame.render(
        "<title>", "<p>{{ name }}</p>", values={"name": "<script>alert(1)</script>"}, script="x.js"
    )
    assert "<title>&lt;title&gt;</title>" in page
    assert "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>" in page
    assert '<script src="/assets/x.js" defer>' in page


def test_has_its_own_files_alone() -> None:
    assert b"color-scheme" in frame.asset("frame.css")
    for name in ("../frame.py", "frame.html", ""):
        with pytest.raises(KeyError):
            frame.asset(name)
