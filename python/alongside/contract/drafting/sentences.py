"""Word comments as contracts word descriptions."""

from __future__ import annotations

import re


def sentence(comment: str) -> str:
    """Return a comment as contracts write descriptions: a small letter first, no full stop."""
    text = " ".join(comment.split())
    text = text.removesuffix(".")
    is_word = re.match(r"[A-Z](?:[a-z]|\s[a-z])", text) is not None
    return text[:1].lower() + text[1:] if is_word else text
