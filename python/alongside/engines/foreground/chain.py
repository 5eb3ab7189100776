"""Say in front of what each component of a run stands: a chain that begins at the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Link:
    """A component as it is to run: checked, but for what it stands in front of."""

    name: str
    """Its own in this run: of two of one component the second is `cache-2`."""
    component: str
    words: tuple[str, ...]
    listen: str
    told: str
    """The word that says what it stands in front of, with `{address}`; empty where the user
    said it."""
    scheme: str = "http"
    """What its clients speak with it."""
    authority: str = ""
    """The file to trust before its certificate is; empty where it was given one, or needs none."""

    @property
    def url(self) -> str:
        """Where a browser finds it: certificates for development are for names."""
        host, _, port = self.listen.rpartition(":")
        is_anywhere = host in {"0.0.0.0", "[::]"}  # noqa: S104
        return f"{self.scheme}://{'localhost' if is_anywhere else host}:{port}"

    def argv(self, behind: str) -> tuple[str, ...]:
        """Return its words, with the address of what it stands in front of."""
        return (*self.words, self.told.format(address=behind)) if self.told else self.words


def waits(links: Sequence[Link]) -> bool:
    """Return whether one of them stands in front of the program, whose address must be found."""
    return bool(links) and bool(links[0].told)


def behind(links: Sequence[Link], program: str) -> tuple[str, ...]:
    """Return what each stands in front of: the first of the program, others of the one before.

    Args:
        links: in the order in which they were named, the one next to the program first.
        program: where it listens, HOST:PORT.

    Returns:
        One address a link; empty where the user said what it is.
    """
    before = (program, *(link.listen for link in links))
    return tuple(address if link.told else "" for link, address in zip(links, before, strict=False))


def reached(links: Sequence[Link], ready: Sequence[bool]) -> tuple[bool, ...]:
    """Return which of them can be used: those that are ready and stand in front of such ones."""
    found: list[bool] = []
    for link, is_ready in zip(links, ready, strict=True):
        before = found[-1] if found and link.told else True
        found.append(is_ready and before)
    return tuple(found)
