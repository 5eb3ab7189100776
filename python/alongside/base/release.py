"""Say which version of ours this is."""

from __future__ import annotations

UNKNOWN = "(not installed; run from its source)"


def version() -> str:
    """Return the version of the installed package."""
    # Late, because commands that only start the data plane do without it.
    from importlib import metadata  # noqa: PLC0415

    try:
        return metadata.version("alongside")
    except metadata.PackageNotFoundError:
        return UNKNOWN
