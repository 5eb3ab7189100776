"""Ask the data plane's own code what is wrong with a document, in the words of its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside import native
from alongside.base import errors
from alongside.components.dataplane import documents, launch

if TYPE_CHECKING:
    from collections.abc import Callable

    from alongside.contract import values

    PlaceOf = Callable[[str], str | None]


def check(content: bytes, given: values.Values, *, place_of: PlaceOf | None = None) -> None:
    """Do nothing where a document is right.

    Args:
        content: the document as JSON.
        given: the values that the document was made of, whose places mistakes are traced to.
        place_of: tells where a place in the document came from, where it was made of more than
            values; None where it came from no single one.

    Raises:
        errors.UsageError: every mistake, each with its flag or variable and its remedy.
    """
    found = native.check_document(content)
    problems = [f"{_place(path, given, place_of)}: {message}" for path, message in found]
    if problems:
        raise errors.UsageError(*dict.fromkeys(problems))


def check_files(
    binary: str, content: bytes, given: values.Values, *, place_of: PlaceOf | None = None
) -> None:
    """Do nothing where the files that a document names are good: certificates, keys, authorities.

    Args:
        binary: the data plane's; it reads them as it will when it serves.
        content: the document as JSON, which `check` found right.
        given: the values that the document was made of.
        place_of: as for `check`.

    Raises:
        errors.UsageError: every bad file, each with its flag or variable and its remedy.
        errors.PermanentError: the binary cannot be run.
    """
    found = launch.problems(binary, content)
    problems = [f"{_place(path, given, place_of)}: {text}" for path, text in found]
    if problems:
        raise errors.UsageError(*dict.fromkeys(problems))


def _place(path: str, given: values.Values, place_of: PlaceOf | None) -> str:
    if place_of is not None:
        return place_of(path) or path or "document"
    # Late, because other components start without it.
    from alongside.components.dataplane import tls_documents  # noqa: PLC0415

    is_tls = given.contract.component == tls_documents.COMPONENT
    name = tls_documents.parameter_of(path, given) if is_tls else documents.parameter_of(path)
    if name is None:
        return path or "document"
    return given.place(name)
