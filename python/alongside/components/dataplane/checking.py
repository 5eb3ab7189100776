"""Ask the data plane's own code what is wrong with a document, in the words of its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside import native
from alongside.base import errors
from alongside.components.dataplane import documents

if TYPE_CHECKING:
    from alongside.contract import promise, values


def check(content: bytes, contract: promise.Contract, given: values.Values) -> None:
    """Do nothing where a document is right.

    Args:
        content: the document as JSON.
        contract: names the flags and variables that mistakes are traced back to.
        given: the values that the document was made of.

    Raises:
        errors.UsageError: every mistake, each with its flag or variable and its remedy.
    """
    found = native.check_document(content)
    problems = [f"{_place(path, contract, given)}: {message}" for path, message in found]
    if problems:
        raise errors.UsageError(*dict.fromkeys(problems))


def _place(path: str, contract: promise.Contract, given: values.Values) -> str:
    name = documents.parameter_of(path)
    if name is None:
        return path or "document"
    parameter = contract.parameter(name)
    variable = contract.variable(parameter)
    return variable if variable and given.source(name) == "environment" else parameter.flag
