"""Fill the frame and serve what belongs to it."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import jinja2

if TYPE_CHECKING:
    from collections.abc import Mapping

ASSETS: Mapping[str, str] = {
    "frame.css": "text/css; charset=utf-8",
}
"""The files that every page loads, and their types."""
SCRIPT_TYPE = "text/javascript; charset=utf-8"
HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
"""Nothing from elsewhere runs in a page, and no other page holds one of ours."""


def asset(name: str) -> bytes:
    """Return a file of the frame.

    Raises:
        KeyError: there is none of that name.
    """
    if name not in ASSETS:
        raise KeyError(name)
    return (resources.files(__package__) / "assets" / name).read_bytes()


def render(title: str, body: str, *, values: Mapping[str, str], script: str) -> str:
    """Return a page.

    Args:
        title: of the page, as text.
        body: a template of ours; what changes later is put in by the script, always as text.
        values: what the template names; escaped.
        script: the file that fills the page, which its server has.
    """
    whole = (resources.files(__package__) / "assets" / "frame.html").read_text()
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    inner = environment.from_string(body).render(values)
    return environment.from_string(whole).render(title=title, body=inner, script=script)
