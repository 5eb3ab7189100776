"""A pytest plugin that gives one parameter of ours another default, to see whether anyone notices.

`pytest -p tests.mutation` with `MUTATE_DEFAULT=cache.memory` in the environment; the soak test
`test_default_mutations.py` runs it for every default there is.
"""

from __future__ import annotations

import dataclasses
import importlib
import os

from alongside.contract import kinds, promise


def pytest_configure() -> None:
    """Change the contract before any test looks at it."""
    component, _, name = os.environ["MUTATE_DEFAULT"].partition(".")
    module = importlib.import_module(f"alongside.contract.catalogue.{component}")
    contract: promise.Contract = module.CONTRACT
    parameters = tuple(
        dataclasses.replace(one, default=another(one)) if one.name == name else one
        for one in contract.parameters
    )
    assert parameters != contract.parameters, f"{component} has no {name} with a default"
    setattr(module, "CONTRACT", dataclasses.replace(contract, parameters=parameters))  # noqa: B010


def another(parameter: promise.Parameter) -> str:
    """Return a default that differs from a parameter's own and is as valid."""
    own = parameter.default
    if own is None:
        raise ValueError(f"{parameter.name} has no default")
    candidates = [*parameter.choices, parameter.minimum, parameter.maximum, *_OTHERS]
    for text in candidates:
        if text is not None and text != own and _is_valid(text, parameter):
            return text
    raise ValueError(f"{parameter.name}: nothing else is valid")


_OTHERS = ("true", "false", "request.path", "/other", "127.0.0.1:1", "7", "7s", "7Mi", "other")


def _is_valid(text: str, parameter: promise.Parameter) -> bool:
    try:
        kinds.read(text, parameter)
    except Exception:  # whatever it is, this candidate does not do
        return False
    return True
