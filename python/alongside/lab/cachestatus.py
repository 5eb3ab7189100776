"""Read what the caches on the way said about an answer.

In:    the value of a Cache-Status field (all lines joined by a comma), or none.
Out:   hit, joined, missed or silent; the names of the caches.
Not:   any other field; judging whether the cache was right.
Next:  figures counts outcomes.
"""

import enum

# RFC 9211 section 2: a list of caches, the one nearest the origin first, each with parameters.


class Outcome(enum.Enum):
    """How an answer came to be, as its caches tell."""

    HIT = "hit"
    JOINED = "joined"  # waited for another's request to the origin (collapsed)
    MISSED = "missed"
    SILENT = "silent"  # no cache spoke


def outcome(field: str | None) -> Outcome:
    """Return how an answer came to be: a hit anywhere on the way is a hit. O(length)."""
    found = Outcome.SILENT
    for member in _members(field or ""):
        names = {parameter.partition("=")[0].strip().lower() for parameter in member[1:]}
        if "hit" in names:
            return Outcome.HIT
        if "collapsed" in names:
            found = Outcome.JOINED
        elif "fwd" in names and found is Outcome.SILENT:
            found = Outcome.MISSED
    return found


def caches(field: str | None) -> list[str]:
    """Return the names of the caches that spoke, the one nearest the origin first."""
    return [member[0].strip().strip('"') for member in _members(field or "")]


def _members(field: str) -> list[list[str]]:
    """Return each cache's name and parameters; a quoted string keeps its commas and semicolons."""
    members: list[list[str]] = [[""]]
    is_quoted = is_escaped = False
    for char in field:
        if not is_quoted and char == ",":
            members.append([""])
        elif not is_quoted and char == ";":
            members[-1].append("")
        else:
            members[-1][-1] += char
            if char == '"' and not is_escaped:
                is_quoted = not is_quoted
        is_escaped = is_quoted and char == "\\" and not is_escaped
    return [member for member in members if member[0].strip()]
