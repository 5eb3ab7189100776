"""`alongside cache`: check the values, then become the data plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.cli import nodes
from alongside.components.dataplane import documents
from alongside.contract.catalogue import cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.base import environment

CONTRACT = cache.CONTRACT


def start(words: Sequence[str], variables: environment.Environment) -> None:
    """Become the data plane by the words after the command's name."""
    nodes.become(CONTRACT, documents.of_cache, words, variables)


def render(words: Sequence[str], variables: environment.Environment) -> bytes:
    """Return the document that the data plane would get, as JSON."""
    return nodes.render(CONTRACT, documents.of_cache, words, variables)
