"""Find what a shell script asks of its environment: `${NAME:-else}`, `${NAME:?message}`, tests.

This reads lines, it does not run or parse a shell: what it finds is a draft that a person checks.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES_MAX = 20_000
LINE_LENGTH_MAX = 4096
"""Longer lines are no line that somebody wrote, and are passed over."""

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_USE = re.compile(rf"(?<!\\)\$(?:\{{({_NAME})(:?[-=?+])|\{{({_NAME})|({_NAME}))")
_FILE_ENV = re.compile(rf"\s*file_env\s+[\"']?({_NAME})[\"']?(?:\s+[\"']?([^\"'\s;]*))?")
_SET = re.compile(
    rf"(?:^|[\s;&|({{])(?:({_NAME})\+?=|(?:read(?:\s+-\w+)*|local|declare|export|for)\s+({_NAME}))"
)
_END = re.compile(r"[;&|\n]")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_EXIT = re.compile(r"(?:^|[\s;&|({])exit\s+([0-9]{1,3})\b")
_TRAP = re.compile(r"(?:^|[\s;&|({])trap\s+(?:'[^']*'|\"[^\"]*\"|[\w-]+)\s+([A-Z0-9 ]+)")
_SHELLS_OWN = frozenset(
    {
        *("PATH", "HOME", "PWD", "OLDPWD", "UID", "EUID", "PPID", "IFS", "RANDOM", "SECONDS"),
        *("LINENO", "HOSTNAME", "SHELL", "TERM", "USER", "LOGNAME", "OPTARG", "OPTIND", "REPLY"),
        *("FUNCNAME", "BASHPID", "SHLVL", "TMPDIR", "PS1", "PS4", "LANG", "LC_ALL"),
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Use:
    """One variable that a script takes from outside."""

    name: str
    line: int
    """From 0."""
    default: str | None = None
    """What stands for it where it is not set; None where that is not a plain text."""
    message: str = ""
    """What the script says where it is missing."""
    is_required: bool = False
    has_file: bool = False
    """Whether `NAME_FILE` may name a file that holds the value, as `file_env` has it."""
    comment: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """What a script says of itself."""

    uses: tuple[Use, ...]
    exits: dict[int, int]
    """The codes it ends with by number, other than 0, and the line of the first."""
    traps: dict[str, int]
    """The signals it handles and their lines."""


def look(text: str) -> Findings:
    """Return what a script says; never raises."""
    uses: dict[str, Use] = {}
    own: set[str] = set()
    exits: dict[int, int] = {}
    traps: dict[str, int] = {}
    comment = ""
    for number, line in enumerate(text.split("\n")[:LINES_MAX]):
        bare = line.strip()
        if bare.startswith("#") and not bare.startswith("#!"):
            comment = bare.lstrip("# ")
            continue
        code = _code(line)
        for found in _EXIT.finditer(code):
            exits.setdefault(int(found[1]), number)
        for found in _TRAP.finditer(line[:LINE_LENGTH_MAX]):
            traps |= {word: number for word in found[1].split() if word not in traps}
        set_here = dict(_sets(code))
        for at, use in (*_files(line, number, comment), *_uses(code, number, comment)):
            if use.name not in own and at < set_here.get(use.name, len(code) + 1):
                uses[use.name] = _joined(uses.get(use.name), use)
        own |= set(set_here) - set(uses)
        comment = ""
    exits.pop(0, None)
    return Findings(tuple(uses.values()), exits, traps)


def _code(line: str) -> str:
    """Return a line without its comment and without what single quotes take the meaning from."""
    if len(line) > LINE_LENGTH_MAX:
        return ""
    parts: list[str] = []
    quote = ""
    for letter in line:
        if letter == "'" and quote != '"':
            quote = "" if quote else "'"
        elif letter == '"' and quote != "'":
            quote = "" if quote else '"'
        if quote != "'" or letter == "'":
            parts.append(letter)
    code = "".join(parts)
    return _COMMENT.sub("", code) if not quote else code


def _sets(code: str) -> Iterator[tuple[str, int]]:
    """Yield what a line sets, and from where on in the line it is set."""
    for found in reversed(list(_SET.finditer(code))):
        end = _END.search(code, found.end())
        yield found[1] or found[2], (end.end() if end else len(code)) if found[1] else found.end()


def _files(line: str, number: int, comment: str) -> Iterator[tuple[int, Use]]:
    """Yield the uses by the function of that name, which entrypoints copy from each other."""
    found = _FILE_ENV.match(line[:LINE_LENGTH_MAX])
    if found and not line.rstrip().endswith("{"):
        default = _plain(found[2] or "") or None
        yield 0, Use(found[1], number, default=default, has_file=True, comment=comment)


def _uses(code: str, number: int, comment: str) -> Iterator[tuple[int, Use]]:
    for found in _USE.finditer(code):
        operator = (found[2] or "").lstrip(":")
        name = found[1] or found[3] or found[4]
        if name in _SHELLS_OWN or (not operator and name != name.upper()):
            continue
        rest = _until_brace(code, found.end()) if operator else ""
        default = _plain(rest) if operator in {"-", "="} else None
        message = rest.strip("\"' ") if operator == "?" else ""
        yield (
            found.start(),
            Use(name, number, default, message, is_required=operator == "?", comment=comment),
        )


def _until_brace(code: str, at: int) -> str:
    depth = 0
    for end in range(at, len(code)):
        if code[end] == "{":
            depth += 1
        elif code[end] == "}":
            if depth == 0:
                return code[at:end]
            depth -= 1
    return code[at:]


def _plain(text: str) -> str | None:
    """Return a default without quotes; None where the shell would make something else of it."""
    bare = text.strip("\"'")
    return None if "$" in bare or "`" in bare else bare


def _joined(before: Use | None, use: Use) -> Use:
    """Return what two uses of one variable say together; the first one's line stays."""
    if before is None:
        return use
    return dataclasses.replace(
        before,
        default=use.default if before.default is None else before.default,
        message=before.message or use.message,
        is_required=before.is_required or use.is_required,
        has_file=before.has_file or use.has_file,
        comment=before.comment or use.comment,
    )
