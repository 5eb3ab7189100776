"""Write the reference of the document's page from the types.

In:    the schema as the extension gives it, made from Rust's types.
Out:   a table for each type between the marks of docs/document.md.
Not:   the types themselves, nor the schema (schema/generate.py); --check only says what is stale.
Next:  `python scripts/document_reference.py --write` after a field changed and `make build`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

from alongside import native

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "document.md"
START, END = "<!-- reference -->\n", "<!-- /reference -->"

Json = dict[str, object]


def part(schema: Json, key: str) -> Json:
    """Return an object inside a schema, empty where there is none."""
    return cast("Json", schema.get(key, {}))


def ref_name(schema: Json) -> str:
    """Return the name of the type that a schema refers to, or an empty text."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def kind(schema: Json) -> str:
    """Return a field's type in words."""
    if name := ref_name(schema):
        return f"[{name}](#{name.lower()})"
    variants = cast("list[Json]", schema.get("anyOf", schema.get("allOf", [])))
    if variants:
        return " or ".join(kind(variant) for variant in variants)
    told = schema.get("type")
    if told == "array":
        return f"list of {kind(part(schema, 'items'))}"
    return " or ".join(map(str, told)) if isinstance(told, list) else str(told or "value")


def span(schema: Json) -> str:
    """Return a field's range."""
    low = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    high = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    if low is None and high is None:
        return ""
    return f"{low if low is not None else ''} … {high if high is not None else ''}".strip()


def sentence(schema: Json) -> str:
    """Return a description as one line that fits in a table."""
    return " ".join(str(schema.get("description", "")).split()).replace("|", "\\|")


def table(schema: Json) -> list[str]:
    """Return the rows of a type's fields."""
    required = cast("list[str]", schema.get("required", []))
    lines = ["| field | type | range | default | meaning |", "|---|---|---|---|---|"]
    for name, value in part(schema, "properties").items():
        field = cast("Json", value)
        default = "required" if name in required else f"`{json.dumps(field.get('default'))}`"
        if isinstance(field.get("default"), dict):
            default = "each its own"
        lines.append(
            f"| `{name}` | {kind(field)} | {span(field)} | {default} | {sentence(field)} |"
        )
    return lines


def choices(schema: Json) -> list[str]:
    """Return the rows of a type that is one word of several."""
    variants = cast("list[Json]", schema.get("oneOf", []))
    words = [(str(variant.get("const")), sentence(variant)) for variant in variants]
    words += [(str(word), "") for word in cast("list[str]", schema.get("enum", []))]
    if not words:
        form = f" of the form `{schema['pattern']}`" if "pattern" in schema else ""
        return [f"A {schema.get('type')}{form}{', length ' * bool(span(schema))}{span(schema)}."]
    return ["| word | meaning |", "|---|---|", *(f"| `{word}` | {text} |" for word, text in words)]


def region(schema: Json) -> str:
    """Return the reference: the document, then every type it is made of."""
    types = {"Document": schema, **part(schema, "$defs")}
    blocks = []
    for name, value in types.items():
        one = cast("Json", value)
        body = table(one) if "properties" in one else choices(one)
        blocks.append("\n".join([f"### {name}", "", sentence(one), "", *body]))
    return "\n\n".join(blocks) + "\n"


def render(page: str, schema: Json) -> str:
    """Return the page with its reference made anew."""
    before, _, rest = page.partition(START)
    return before + START + region(schema) + END + rest.partition(END)[2]


def made() -> dict[Path, str]:
    """Return the content of each generated file."""
    schema: Json = json.loads(native.document_schema())
    return {PAGE: render(PAGE.read_text(), schema)}


def main(arguments: list[str]) -> int:
    """Write or check the files; return the exit code."""
    stale = [path for path, text in made().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if "--write" in arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made()[path])
        else:
            name = path.relative_to(ROOT)
            sys.stderr.write(f"{name} is stale; run scripts/document_reference.py --write\n")
    return 1 if stale and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
