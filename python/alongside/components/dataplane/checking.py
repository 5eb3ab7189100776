"""Ask the data plane's own code what is wrong with a document, in the words of its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside import native
from alongside.base import errors
from alongside.components.dataplane import documents

if TYPE_CHECKING:
    from alongside.contract import values


def check(content: bytes, given: values.Values) -> None:
    """Do nothing where a document is right.

    Args:
        content: the document as JSON.
        given: the values that the document was made of, whose places mistakes are traced to.

    Raises:
        errors.UsageError: every mistake, each with its flag or variable and its remedy.
    """
    found = native.check_document(content)
    problems = [f"{_place(path, given)}: {message}" for path, message in found]
    if problems:
        raise errors.UsageError(*dict.fromkeys(problems))


def _place(path: str, given: values.Values) -> str:
    # Late, because other components start without it.
    from alongside.components.dataplane import tls_documents  # noqa: PLC0415

    is_tls = given.contract.component == tls_documents.COMPONENT
    name = tls_documents.parameter_of(path, given) if is_tls else documents.parameter_of(path)
    if name is None:
        return path or "document"
    return given.place(name)
