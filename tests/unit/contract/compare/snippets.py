"""Contracts for tests, from the few lines that matter."""

from __future__ import annotations

import pydantic
import yaml

from alongside.contract import promise

_ANY = pydantic.TypeAdapter(promise.Contract)
_PARAMETER = {"type": "integer", "description": "a thing", "example": "1"}
_TEXTS = {"routes": "description", "files": "description", "metrics": "description"}


def contract(text: str) -> promise.Contract:
    """Return a contract of some lines of YAML; what they leave out is filled in.

    A parameter is written `wait: {type: duration}`, and is `wait` by name, flag and variable. The
    contract has the form of one, and may be wrong otherwise: what compares asks no more.
    """
    said = yaml.safe_load(text) or {}
    parameters = [
        {"name": name, **_PARAMETER, "description": f"sets {name}", **(fields or {})}
        for name, fields in (said.pop("parameters", None) or {}).items()
    ]
    whole = {
        "component": "sync",
        "version": "1.0.0",
        "summary": "Keep a copy",
        "promise": "It does.",
        "parameters": parameters,
        **said,
    }
    for part, field in _TEXTS.items():
        for row in whole.get(part, ()):
            row.setdefault(field, "what it is")
    return _ANY.validate_python(whole, by_alias=True, by_name=False)
