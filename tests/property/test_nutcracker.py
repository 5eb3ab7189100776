"""Whatever stands in a file of twemproxy's, it is read, or its mistakes are told; nothing else."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as some

from alongside.base import errors
from alongside.components.dataplane.nutcracker import lint, reading, syntax

WORDS = [
    *("listen", "hash", "hash_tag", "distribution", "timeout", "backlog", "client_connections"),
    *("redis", "redis_auth", "redis_db", "tcpkeepalive", "preconnect", "auto_eject_hosts"),
    *("server_connections", "server_retry_timeout", "server_failure_limit", "servers"),
]
BITS = some.sampled_from(
    [
        *WORDS,
        *(
            "a",
            ":",
            ": ",
            "\n",
            "\n  ",
            "\n   - ",
            " ",
            "- ",
            "'",
            '"',
            "{",
            "}",
            "[",
            "]",
            "#",
            "&x",
        ),
        *(
            "*x",
            "!",
            "|",
            ">",
            "---",
            "...",
            "%",
            "127.0.0.1:1",
            "/run/a",
            "h:1:1",
            "true",
            "false",
        ),
        *("0", "1", "99999999999999999999999", "é", "\0", "\t", "\ud7ff", "é" * 40, "~", "<<", "?"),
    ]
)
VALUES = some.one_of(
    some.sampled_from(["true", "false", "md5", "ketama", "modula", "127.0.0.1:1", "/run/a 0600"]),
    some.integers(-1, 2**70).map(str),
    some.text(max_size=20),
)


def check(content: bytes) -> None:
    try:
        found = reading.pools(content, file="n.yml")
    except errors.UsageError as error:
        for problem in error.problems:
            assert re.match(r"n\.yml:([0-9]+: .+; .+| [0-9]+ more mistakes)", problem, re.DOTALL)
        return
    assert found
    lint.findings(found, is_signed=True)


@given(some.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    check(content)


@given(some.lists(BITS, max_size=60).map("".join))
def test_any_text_of_what_such_files_are_made_of(text: str) -> None:
    check(text.encode("utf-8", "surrogatepass"))


@given(
    some.lists(some.tuples(some.sampled_from(WORDS), VALUES), max_size=8), some.text(max_size=30)
)
def test_any_values(entries: list[tuple[str, str]], server: str) -> None:
    lines = "".join(f"  {key}: {value}\n" for key, value in entries)
    check(f"a:\n  listen: h:1\n{lines}  servers:\n   - {server}\n   - h:1:1\n".encode())


@given(some.integers(1, 3000), some.sampled_from(["[", "{", "- ", "? ", "a: [", "&a [", "!a "]))
def test_any_depth(depth: int, opener: str) -> None:
    check((opener * depth).encode())


def test_a_file_of_the_largest_size() -> None:
    line = b"   - h:1:1\n"
    count = (syntax.FILE_BYTES_MAX - 100) // len(line)
    check(b"a:\n  listen: h:1\n  servers:\n" + line * count)
