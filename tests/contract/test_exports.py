"""What a room says it exports is what it has."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import alongside
from alongside import native

LEFT_OUT = {"__main__", "_native"}


def modules() -> list[ModuleType]:
    """Return every module of the package but the compiled one and those that run."""
    found = pkgutil.walk_packages(alongside.__path__, "alongside.")
    names = [info.name for info in found if info.name.rpartition(".")[2] not in LEFT_OUT]
    return [importlib.import_module(name) for name in names]


def own(module: ModuleType) -> set[str]:
    """Return the public classes and functions that a module defines itself."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }


def test_every_module_can_be_imported() -> None:
    assert len(modules()) > 20


def test_export_lists_are_sorted_whole_and_true() -> None:
    wrong = {
        module.__name__: module.__all__
        for module in modules()
        if hasattr(module, "__all__")
        and (
            sorted(module.__all__) != list(module.__all__)
            or own(module) - set(module.__all__)
            or [name for name in module.__all__ if not hasattr(module, name)]
        )
    }
    assert wrong == {}


def test_the_door_passes_everything_that_the_extension_has() -> None:
    extension = importlib.import_module("alongside._native")
    public = {name for name in vars(extension) if not name.startswith("_")}
    assert set(native.__all__) == public
