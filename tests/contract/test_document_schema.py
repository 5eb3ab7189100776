"""The schema and the Python types are what the Rust types make today."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from alongside import native

ROOT = Path(__file__).resolve().parent.parent.parent


def test_what_is_generated_is_fresh() -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "schema" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def fields() -> Iterator[tuple[str, dict[str, object]]]:
    """Yield every field of every type, as `Type.field` and its schema."""
    schema = json.loads(native.document_schema())
    for name, part in {**schema["$defs"], "Document": schema}.items():
        for field, told in part.get("properties", {}).items():
            yield f"{name}.{field}", cast("dict[str, object]", told)


def test_every_field_says_what_it_is_and_in_which_unit() -> None:
    units = {"_ms": "milliseconds", "_bytes": "bytes", "_bytes_max": "bytes", "_bytes_min": "bytes"}
    silent = [name for name, told in fields() if not told.get("description")]
    without_unit = [
        name
        for name, told in fields()
        for suffix, unit in units.items()
        if name.endswith(suffix) and unit not in str(told["description"])
    ]
    assert (silent, without_unit) == ([], [])


def test_every_number_that_is_required_of_nobody_has_a_default() -> None:
    schema = json.loads(native.document_schema())
    for name, part in {**schema["$defs"], "Document": schema}.items():
        for field, told in part.get("properties", {}).items():
            is_required = field in part.get("required", [])
            assert is_required != ("default" in told), f"{name}.{field}"


def test_no_type_takes_unknown_fields() -> None:
    schema = json.loads(native.document_schema())
    types = [part for part in [*schema["$defs"].values(), schema] if "properties" in part]
    assert len(types) >= 10
    assert all(part["additionalProperties"] is False for part in types)
