"""Type what is written and read as YAML and JSON: plain values of any depth."""

from __future__ import annotations

from typing import Any

Free = Any  # type: ignore[explicit-any]  # a resource's fields, as free as YAML
Value = dict[str, Free]
