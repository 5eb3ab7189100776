"""Gather the variables that an image and its scripts read: what may become a parameter."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from alongside.contract.drafting import scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.contract.drafting import images

VARIABLES_MAX = 2000
"""More are none that somebody wrote."""
_FACT = re.compile(
    r"PATH|LD_LIBRARY_PATH|LANG|LANGUAGE|LC_[A-Z]+|DEBIAN_FRONTEND|GPG_KEYS?|HOME|TERM|container"
    r"|(?:.*_)?(?:VERSION|SHA256|SHA512|CHECKSUM|DIGEST|COMMIT|REVISION)(?:_[A-Z0-9]+)?"
    r"|.*_(?:SHA|MAJOR|DOWNLOAD_URL)|(?:.*_)?PKG_RELEASE"
    r"|(?:JAVA|GRADLE|MAVEN|GO|CARGO|RUSTUP|NVM|CATALINA|ANDROID|PYTHON)_?(?:HOME|PATH|ROOT)"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """One variable, with everything that was said of it."""

    variable: str
    place: str
    default: str | None = None
    """None where it has none, or none that is known."""
    comment: str = ""
    message: str = ""
    is_required: bool = False
    file_of: str = ""
    """The variable whose value may stand in the file that this one names."""
    arguments: tuple[str, ...] = ()
    """Build arguments without a default that its value comes from."""


def is_fact(variable: str) -> bool:
    """Return whether a variable says what an image is, not what it should do."""
    return _FACT.fullmatch(variable) is not None


def gather(image: images.Image) -> list[Candidate]:
    """Return every variable in the order it is met: first the image's, then its scripts'."""
    found = {
        name: Candidate(
            name,
            variable.value.place,
            default=(variable.value.text or None) if variable.is_known else None,
            comment=variable.value.comment,
            arguments=variable.arguments,
        )
        for name, variable in image.variables.items()
        if _NAME.fullmatch(name) and not is_fact(name)
    }
    set_by_image = set(image.variables)
    for script in image.scripts:
        for use in scripts.look(script.text).uses:
            for candidate in _of_use(use, script):
                name = candidate.variable
                if name in found:
                    found[name] = _joined(found[name], candidate)
                elif name not in set_by_image and not is_fact(name):
                    found[name] = candidate
    return list(found.values())[:VARIABLES_MAX]


def _of_use(use: scripts.Use, script: images.Script) -> Iterator[Candidate]:
    place = script.place(use.line)
    yield Candidate(
        use.name,
        place,
        default=use.default or None,
        comment=use.comment,
        message=use.message,
        is_required=use.is_required,
    )
    if use.has_file:
        yield Candidate(f"{use.name}_FILE", place, file_of=use.name)


def _joined(image: Candidate, script: Candidate) -> Candidate:
    """Return what the image and a script say of one variable; the image's default is in force."""
    return dataclasses.replace(
        image,
        default=image.default or script.default,
        comment=image.comment or script.comment,
        message=image.message or script.message,
        is_required=(image.is_required or script.is_required) and image.default is None,
    )
