"""Write the rules of `alongside contract diff` into their page, or check that they are there.

python scripts/contract_rules.py --write | --check
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from alongside.contract.compare import changes, whole

PAGE = Path(__file__).resolve().parent.parent / "docs" / "contract-diff.md"
START, END = "<!-- rules -->\n", "<!-- /rules -->"


def rendered(page: str) -> str:
    """Return the page with today's rules between its marks."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + START + "".join(f"{line}\n" for line in _lines()) + END + after


def _lines() -> Iterator[str]:
    for subject, rules in whole.SUBJECTS.items():
        yield from (f"### {subject}", "")
        yield "| rule | severity | hurts | what it finds | what to do | mirror |"
        yield "|---|---|---|---|---|---|"
        for rule in rules:
            mirrors = ", ".join(f"`{mirror}`" for mirror in rule.mirrors)
            cells = (
                f"`{rule.id}`",
                _severity(rule),
                rule.hurts.value,
                rule.says,
                rule.instead,
                mirrors or f"none: {rule.no_mirror}",
            )
            yield f"| {' | '.join(cells)} |"
        yield ""


def _severity(rule: changes.Rule) -> str:
    return rule.severity.value if rule.is_waivable else f"**{rule.severity.value}, never waived**"


def main(arguments: list[str]) -> int:
    """Write or check the page; return the exit code."""
    page = PAGE.read_text()
    if arguments == ["--write"]:
        PAGE.write_text(rendered(page))
        return 0
    if rendered(page) == page:
        return 0
    print(f"{PAGE} is stale; run scripts/contract_rules.py --write", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
