"""The extension is what its stub and its one door say."""

from __future__ import annotations

import subprocess
import sys

from alongside import _native, native


def test_the_stub_tells_what_the_binary_offers() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "alongside._native"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_door_passes_on_everything_that_the_extension_exports() -> None:
    offered = {name for name in vars(_native) if not name.startswith("_")}
    assert offered == set(native.__all__)
    assert all(getattr(native, name) is getattr(_native, name) for name in native.__all__)


def test_everything_exported_says_what_it_does() -> None:
    silent = [name for name in native.__all__ if not getattr(native, name).__doc__]
    silent += [
        f"{kind.__name__}.{name}"
        for kind in (native.Placement, native.Key)
        for name in vars(kind)
        if not name.startswith("_") and not getattr(kind, name).__doc__
    ]
    assert silent == []


def test_the_extension_has_the_version_of_the_package() -> None:
    assert native.version() == "0.1.0"
    assert native.build_profile() in {"release", "debug"}
