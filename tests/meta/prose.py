"""Rules about what is written: links, commands, words. Each returns what breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePath

# A place of one machine, or of the making of the project, means nothing to its reader.
FORBIDDEN = {
    r"(?<![\w.*-])/(?:work|root)/\w": "a path of one machine",
    r"/opt/wheels|--(?:extra-)?index-url|--find-links|PIP_INDEX_URL": "a place to fetch from",
    r"(?i)\bissues? ?#?\d+\b|\(#\d+\)": "an issue's number",
    r"(?i)\bsession \d+\b|\bthis session\b": "how the project was made",
}
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def forbidden_words(name: PurePath, text: str) -> Iterator[str]:
    """Yield a complaint for each line that speaks of something outside the project."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, reason in FORBIDDEN.items():
            if found := re.search(pattern, line):
                yield f"{name}:{number}: {found[0]!r} is {reason}"


def without_code(text: str) -> str:
    """Return markdown without fenced blocks and inline code, in which nothing is a link."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def anchors(markdown: str) -> set[str]:
    """Return the anchors that a page's headings give it, as GitHub and most others make them."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", markdown), flags=re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def broken_links(page: Path, text: str) -> Iterator[str]:
    """Yield a complaint for each relative link whose file or heading does not exist."""
    for target in LINK.findall(without_code(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        if not file.exists():
            yield f"{page}: link to {target}, which does not exist"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
            yield f"{page}: link to {target}, a heading which does not exist"


def shell_lines(markdown: str) -> Iterator[str]:
    """Yield the commands of a page's shell blocks; of a console block, what follows the prompt."""
    for language, block in FENCE.findall(markdown):
        lines = block.replace("\\\n", " ").splitlines()
        if language in {"sh", "bash", "shell"}:
            yield from (line.split("#")[0].strip() for line in lines)
        elif language == "console":
            yield from (line[2:].split("#")[0].strip() for line in lines if line.startswith("$ "))


def unknown_commands(
    page: PurePath, text: str, goals: Collection[str], is_command: Callable[[str], bool]
) -> Iterator[str]:
    """Yield a complaint for each goal of make and each subcommand that does not exist."""
    for line in shell_lines(text):
        words = re.split(r"\s+", re.sub(r"^(?:\w+=\S+ +)+", "", line))
        if words[0] == "make":
            for goal in (word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)):
                if goal not in goals:
                    yield f"{page}: `{line}`: make has no goal {goal!r}"
        elif words[0].endswith("alongside") and words[1:2] and words[1].isalpha():
            yield from () if is_command(words[1]) else (f"{page}: `{line}`: no such command",)
