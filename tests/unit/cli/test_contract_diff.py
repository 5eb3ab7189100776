"""`alongside contract diff` says what breaks, in three forms, and ends with the right code."""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from alongside.cli import contract, main
from alongside.contract import catalogue, promise, written
from alongside.contract.compare import waivers, whole

OLD = """
contract: 1
component: sync
version: 1.0.0
summary: Keep a copy
promise: It does.
parameters:
- {name: wait, type: number, unit: s, description: waits, example: "1", default: "10"}
- {name: depth, type: integer, description: commits, example: "1", default: "0"}
"""
DEPTH = OLD.replace('default: "0"', 'default: "1"')
UNIT = OLD.replace("unit: s", "unit: ms").replace("1.0.0", "2.0.0")
ADDED = OLD + "- {name: link, type: text, description: link, example: x, unset: none}\n"
ACCEPTED = """
waivers: 1
accepted:
- {rule: default-changed, where: parameter depth, was: default 0, now: default 1,
   note: nobody wants all of it}
- {rule: version-not-bumped, where: version, was: 1.0.0, now: 1.0.0, note: not released yet}
"""


class Files:
    """Contract files in a folder, compared by the command line."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys

    def write(self, name: str, content: str) -> str:
        """Return the path of a file with that content."""
        path = self.folder / name
        path.write_text(content)
        return str(path)

    def diff(self, old: str, new: str, *words: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr of comparing two contents."""
        code = run("diff", self.write("old.yaml", old), self.write("new.yaml", new), *words)
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err


@contextlib.contextmanager
def piped(content: str) -> Iterator[str]:
    """Yield the name of a pipe from which a content comes, as a shell makes it for `<(…)`."""
    reading, writing = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "w") as stream:
            stream.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
        writer.join(10)


def run(*words: str) -> int:
    return main.run(["contract", *words])


@pytest.fixture
def files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Files:
    return Files(tmp_path, capsys)


def test_nothing_changed(files: Files) -> None:
    assert files.diff(OLD, OLD) == (0, "sync 1.0.0 to 1.0.0: nothing changed\n", "")


def test_what_breaks_is_told_with_what_to_do(files: Files) -> None:
    code, out, err = files.diff(OLD, DEPTH)
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "sync 1.0.0 to 1.0.0: 2 breaking",
        "",
        "breaking  default-changed: parameter depth (who starts it)",
        "    was  default 0",
        "    now  default 1",
        "    so   who does not set it gets something else",
        "    do   keep the default; where the new one is better for all, accept the change with a "
        "note",
        "",
        "breaking  version-not-bumped: version (who starts it)",
        "    was  1.0.0",
        "    now  1.0.0",
        "    so   something breaks, and the version does not say so",
        "    do   raise the major version; below 1.0 the minor one takes its part",
    ]


def test_something_new_ends_with_0(files: Files) -> None:
    code, out, _ = files.diff(OLD, ADDED)
    assert code == 0
    assert "info      parameter-added: parameter link" in out


def test_waivers_accept_with_a_note(files: Files) -> None:
    accepted = files.write("w.yaml", ACCEPTED)
    code, out, err = files.diff(OLD, DEPTH, "--waivers", accepted)
    assert (code, err) == (0, "")
    assert "accepted  default-changed: parameter depth" in out
    assert "    note nobody wants all of it" in out


def test_a_waiver_of_a_unit_is_refused_and_ends_with_1(files: Files) -> None:
    row = "{rule: unit-changed, where: parameter wait, was: a, now: b, note: sure}"
    text = f"{{waivers: 1, accepted: [{row}]}}"
    accepted = files.write("w.yaml", text)
    code, out, err = files.diff(OLD, UNIT, "--waivers", accepted)
    assert code == 1
    assert "breaking  unit-changed: parameter wait (who starts it, never waived)" in out
    assert f"{accepted}: unit-changed of parameter wait can never be waived" in err


def test_a_waiver_of_nothing_is_told(files: Files) -> None:
    code, _, err = files.diff(OLD, OLD, "--waivers", files.write("w.yaml", ACCEPTED))
    assert code == 0
    assert "default-changed of parameter depth from default 0 to default 1 did not happen" in err


def test_json_holds_all_of_it(files: Files) -> None:
    code, out, _ = files.diff(OLD, UNIT, "--format", "json")
    said = json.loads(out)
    assert code == 1
    assert (said["diff"], said["compatible"]) == (1, False)
    assert said["new"]["version"] == "2.0.0"
    assert said["counts"] == {"breaking": 1, "notice": 0, "info": 0, "accepted": 0}
    [change] = said["changes"]
    assert change == {
        "rule": "unit-changed",
        "severity": "breaking",
        "hurts": "who starts it",
        "where": "parameter wait",
        "old": "number, a bare number counts s",
        "new": "number, a bare number counts ms",
        "explanation": whole.RULES["unit-changed"].says,
        "instead": whole.RULES["unit-changed"].instead,
        "waivable": False,
        "note": None,
    }


def test_json_goes_in_what_json_shows(files: Files) -> None:
    cache = files.write("cache.json", written.to_text(catalogue.contract_of("cache")))
    assert run("diff", "cache", cache) == 0
    assert "nothing changed" in files.capsys.readouterr().out


def test_markdown_is_a_table_in_which_contracts_cannot_write_markdown(files: Files) -> None:
    hostile = "](http://x) | `<b>` @all\\n# no"
    old = OLD.replace("type: integer", "type: path")
    new = old.replace('default: "0"', f'default: "{hostile}"')
    code, out, _ = files.diff(old, new, "--format", "markdown")
    assert code == 1
    assert out.startswith("### Contract of `sync`: this breaks somebody\n")
    row = next(line for line in out.splitlines() if "default-changed" in line)
    assert row.startswith("| **breaking** | `default-changed` | `parameter depth` | `default 0` |")
    assert r"`default ](http://x) \| '<b>' @all # no`" in row


def test_a_pipe_is_read_as_a_file_is(files: Files) -> None:
    new = files.write("new.yaml", DEPTH)
    with piped(OLD) as old:
        assert run("diff", old, new) == 1
    assert "default-changed: parameter depth" in files.capsys.readouterr().out


def test_a_pipe_that_holds_too_much_is_refused(files: Files) -> None:
    with piped("#" * (written.BYTES_MAX + 1)) as old:
        assert run("diff", old, "cache") == 2
    assert "is larger than" in files.capsys.readouterr().err


def test_a_dash_is_standard_input(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    new = files.write("new.yaml", DEPTH)
    with io.TextIOWrapper(io.BytesIO(OLD.encode())) as given:
        monkeypatch.setattr("sys.stdin", given)
        assert run("diff", "-", new) == 1
    assert "default-changed: parameter depth" in files.capsys.readouterr().out


def test_standard_input_is_read_once(files: Files) -> None:
    assert run("diff", "-", "-") == 2
    assert "-: is named twice; it can be read once" in files.capsys.readouterr().err


def test_control_characters_of_a_contract_do_not_reach_the_terminal(files: Files) -> None:
    old = OLD.replace("type: integer", "type: path")
    new = old.replace('default: "0"', 'default: "\\e[31mred\\a"')
    _, out, _ = files.diff(old, new)
    assert "\x1b" not in out
    assert r"\x1b[31mred\x07" in out


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_our_components_are_known_by_name(name: str, files: Files) -> None:
    assert run("diff", name, name) == 0
    assert files.capsys.readouterr().out.startswith(f"{name} ")


def test_every_mistake_is_told_at_once(files: Files) -> None:
    waivers_file = files.write("w.yaml", "{waivers: 1, accepted: [{rule: x}]}")
    binary = files.folder / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert run("diff", "cach", str(binary), "--waivers", waivers_file) == 2
    err = files.capsys.readouterr().err
    assert "cach: is neither a file nor a component; did you mean cache?" in err
    assert "is no UTF-8 text" in err
    assert 'rule: "x" is no rule' in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words",
    [(), ("diff",), ("diff", "cache"), ("diff", "cache", "cache", "--format", "xml"), ("diif",)],
)
def test_wrong_usage_ends_with_2(words: tuple[str, ...], files: Files) -> None:
    assert run(*words) == 2
    assert "alongside contract" in files.capsys.readouterr().err


def test_help_lists_every_subcommand(files: Files) -> None:
    assert run("--help") == 0
    out = files.capsys.readouterr().out
    for name, line in contract.SUBCOMMANDS.items():
        assert f"  {name} " in out
        assert line in out


def test_a_file_of_the_most_parameters_that_fit_is_compared_in_time(files: Files) -> None:
    def many(prefix: str) -> promise.Contract:
        parameters = tuple(
            promise.Parameter(
                name=f"{prefix}_{at}", kind=promise.Kind.TEXT, description=f"{at}", example="x"
            )
            for at in range(3000)
        )
        return promise.Contract(
            component="many", version="1.0.0", summary="s", promise="p", parameters=parameters
        )

    verdict = waivers.judge(whole.compare(many("a"), many("b")))
    assert len(verdict.changes) == 6001
