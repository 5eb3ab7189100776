"""Each rule refuses what breaks it; a rule nobody saw fail may not be there at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path, PurePath

import pytest
from tests.meta import prose, shape, tree

SCRIPTS = Path(sys.executable).parent


def run(*command: str | Path, cwd: Path = tree.ROOT, **environment: str) -> tuple[int, str]:
    """Run a checker and return its exit code and everything it said."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


# Ruff: one file that breaks each rule we count on, as if it stood in a room.

RUFF_SAMPLE = '''
import os, time, asyncio
from alongside import _native
from . import plan

def undocumented(a: int, b: int, c: int, d: int, e: int, f: int, g: int) -> None: print(a)

def untyped(value, many=[]):
    """Return nothing useful."""
    try:
        assert value
    except:
        pass
    return os.environ, os.getenv("A"), time.time(), asyncio.sleep(1), list()
'''


@cache
def ruff_says() -> list[tuple[str, str]]:
    """Return the code and message of each complaint about the sample."""
    standing_as = ("--stdin-filename", "python/alongside/plan/sample.py")
    done = subprocess.run(
        [SCRIPTS / "ruff", "check", "--output-format=json", *standing_as, "-"],
        cwd=tree.ROOT,
        input=RUFF_SAMPLE,
        capture_output=True,
        text=True,
        check=False,
    )
    return [(entry["code"], entry["message"]) for entry in json.loads(done.stdout)]


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("TID251", "Only alongside/native.py may import the extension module."),
        ("TID251", "`os.environ` is banned"),
        ("TID251", "`os.getenv` is banned"),
        ("TID251", "Take a Clock; wall time only for display."),
        ("TID251", "Take a Clock, so that tests need not wait."),
        ("TID252", "relative imports"),
        ("D103", "Missing docstring"),
        ("PLR0913", "Too many arguments"),
        ("ANN001", "Missing type annotation"),
        ("ANN201", "Missing return type"),
        ("B006", "mutable data structures"),
        ("E722", "bare `except`"),
        ("S101", "`assert`"),
        ("T201", "`print`"),
        ("C408", "Unnecessary `list()`"),
    ],
)
def test_ruff_refuses(code: str, part: str) -> None:
    assert [message for found, message in ruff_says() if found == code and part in message]


# The type checker: what strictness is for.

MYPY_SAMPLE = """
from typing import Any, Literal, assert_never

def untyped(value): return value
def anything(value: Any) -> int: return 1
def truthy(value: object) -> None:
    if truthy: pass
def ignored(value: int) -> str: return value  # type: ignore
def forgot(word: Literal["a", "b"]) -> int:
    match word:
        case "a": return 1
"""


def test_mypy_refuses_what_is_untyped_vague_or_forgotten(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text(MYPY_SAMPLE)
    config = tree.ROOT / "pyproject.toml"
    status, said = run(
        SCRIPTS / "mypy", "--config-file", config, "--cache-dir", tmp_path / "cache", sample
    )
    assert status == 1
    wanted = {"no-untyped-def", "explicit-any", "truthy-function", "ignore-without-code"}
    assert {word for word in {*wanted, "exhaustive-match"} if f"[{word}]" not in said} == set()


# import-linter: the layers, on a house of empty rooms with one forbidden door.

ROOMS = ["cli", "server", "engines", "components", "components/a", "components/b"]
ROOMS += ["plan", "control", "resources", "contract", "document", "dockerd", "base"]


@pytest.mark.parametrize(
    ("room", "line", "contract"),
    [
        ("base", "from alongside import cli", "layers"),
        ("engines", "from alongside import components", "layers"),
        ("components/a", "from alongside.components import b", "components are strangers"),
        ("components/a", "from alongside import plan", "components know contracts, not fleets"),
        ("components/a", "from alongside import control", "components know contracts, not fleets"),
        ("control", "from alongside import plan", "layers"),
        ("dockerd", "from alongside import native", "layers"),
        ("attic", "", "layers"),
    ],
)
def test_import_linter_refuses(tmp_path: Path, room: str, line: str, contract: str) -> None:
    shutil.copy(tree.ROOT / "pyproject.toml", tmp_path)
    house = tmp_path / "alongside"
    for name in (".", *ROOMS, "attic" if room == "attic" else "."):
        (house / name).mkdir(parents=True, exist_ok=True)
        (house / name / "__init__.py").touch()
    (house / "native.py").touch()
    (house / room / "__init__.py").write_text(line)
    status, said = run(SCRIPTS / "lint-imports", "--no-cache", cwd=tmp_path, PYTHONPATH=".")
    assert status == 1
    assert f"{contract} BROKEN" in said or (room == "attic" and "attic" in said)


# The stub of the extension.


def test_stubtest_refuses_a_stub_that_lies(tmp_path: Path) -> None:
    house = tree.ROOT / "python" / "alongside"
    copy = tmp_path / "alongside"
    copy.mkdir()
    for name in ("__init__.py", "py.typed", "_native.abi3.so", "_native.pyi"):
        shutil.copy(house / name, copy)
    with (copy / "_native.pyi").open("a") as stub:
        stub.write("\ndef promised_but_absent(value: int) -> int: ...\n")
    status, said = run(
        sys.executable,
        "-m",
        "mypy.stubtest",
        "alongside._native",
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path),
        MYPYPATH=str(tmp_path),
    )
    assert status == 1
    assert "promised_but_absent" in said


# clippy and rustc: a scratch crate under the lints and bans of a pure one.

CLIPPY_SAMPLE = """
//! A crate that breaks the rules.
pub fn undocumented() {}
/// Reads the clock.
pub fn now() -> std::time::Instant { std::time::Instant::now() }
/// Reads the other clock.
pub fn wall() -> std::time::SystemTime { std::time::SystemTime::now() }
/// Starts a thread.
pub fn thread() { std::thread::spawn(|| ()); }
/// Panics on hostile input.
pub fn panics(a: Option<u8>, b: Result<u8, u8>) -> u8 { a.unwrap() + b.expect("b") }
/// Prints.
pub fn prints() { println!(); eprintln!(); dbg!(1); }
/// Fails, and does not say how.
pub fn fails() -> Result<(), u8> { Err(1) }
/// Takes a train of parameters.
pub fn train(_: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8) {}
/// Goes on and on.
pub fn long(mut x: u8) -> u8 { %s x }
"""


@cache
def clippy_says(folder: Path) -> list[tuple[str, str]]:
    """Return the lint and message of each complaint about the sample crate."""
    workspace = tree.text(Path("Cargo.toml"))
    lints = workspace[workspace.index("[workspace.lints.rust]") : workspace.index("[profile.")]
    (folder / "src").mkdir()
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "sample"\nedition = "2024"\n[workspace]\n[lints]\nworkspace = true\n'
        + lints
    )
    (folder / "src" / "lib.rs").write_text(CLIPPY_SAMPLE % ("x += 1;\n" * 80))
    for name in ("rust/placement/clippy.toml", "rust-toolchain.toml"):
        shutil.copy(tree.ROOT / name, folder)
    _, said = run(
        *("cargo", "clippy", "--offline", "--quiet", "--message-format=json"),
        *("--", "-D", "warnings"),
        cwd=folder,
        CARGO_TARGET_DIR=str(folder / "target"),
    )
    told = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    messages = [line["message"] for line in told if line["reason"] == "compiler-message"]
    return [
        (message["code"]["code"], message["message"] + str(message["children"]))
        for message in messages
        if message["code"] and message["level"] == "error"
    ]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the sample crate, one for all its cases."""
    return tmp_path_factory.mktemp("sample")


@pytest.mark.parametrize(
    ("lint", "part"),
    [
        ("missing_docs", ""),
        ("clippy::disallowed_methods", "std::time::Instant::now"),
        ("clippy::disallowed_methods", "std::time::SystemTime::now"),
        ("clippy::disallowed_methods", "std::thread::spawn"),
        ("clippy::disallowed_methods", "pure crates take `now` as an argument"),
        ("clippy::unwrap_used", ""),
        ("clippy::expect_used", ""),
        ("clippy::print_stdout", ""),
        ("clippy::print_stderr", ""),
        ("clippy::dbg_macro", ""),
        ("clippy::missing_errors_doc", ""),
        ("clippy::too_many_arguments", ""),
        ("clippy::too_many_lines", ""),
    ],
)
def test_clippy_refuses(scratch: Path, lint: str, part: str) -> None:
    assert [message for found, message in clippy_says(scratch) if found == lint and part in message]


def test_rustc_refuses_unsafe_code(tmp_path: Path) -> None:
    sample = tmp_path / "sample.rs"
    sample.write_text("fn main() { unsafe { std::hint::unreachable_unchecked() } }")
    status, said = run("rustc", "-F", "unsafe_code", "--out-dir", tmp_path, sample)
    assert status == 1
    assert "usage of an `unsafe` block" in said


# Our own rules.

LONG_PYTHON = 'def f() -> None:\n    """Do it."""\n' + "    pass\n" * 71
SHORT_PYTHON = 'def f() -> None:\n    """Do it."""\n' + "    pass\n" * 70
TESTED_RUST = "fn f() {}\n" * 500 + "#[cfg(test)]\nmod tests {\n" + "fn t() {}\n" * 500 + "}\n"
INTRODUCED = '"""Do one thing.\n\nIn:    a.\nOut:   b.\nNot:   c.\nNext:  d.\n"""\n'


def test_sizes_are_refused_above_and_accepted_at_the_limit() -> None:
    python, rust = PurePath("python/a.py"), PurePath("rust/a/src/b.rs")
    assert list(shape.long_file(python, "a = 1\n" * 501))
    assert list(shape.long_file(rust, "fn f() {}\n" * 501))
    assert list(shape.long_functions(python, LONG_PYTHON))
    assert not list(shape.long_file(python, "a = 1\n" * 500))
    assert not list(shape.long_file(rust, TESTED_RUST))
    assert not list(shape.long_functions(python, SHORT_PYTHON))


def test_a_room_without_its_introduction_is_refused() -> None:
    name = PurePath("python/alongside/a/__init__.py")
    assert list(shape.missing_introduction(name, '"""Do one thing."""\n'))
    assert list(shape.missing_introduction(name, INTRODUCED.replace("Not:", "Nor:")))
    assert not list(shape.missing_introduction(name, INTRODUCED))
    crate = PurePath("rust/a/src/lib.rs")
    assert list(shape.missing_introduction(crate, "//! Do one thing.\n"))
    lines = "".join(f"//! {line}\n" for line in INTRODUCED.strip('"\n').splitlines())
    assert not list(shape.missing_introduction(crate, lines))


@pytest.mark.parametrize("name", ["a/utils.py", "a/http_helpers.rs", "common/b.py", "a/manager.py"])
def test_a_name_that_says_nothing_is_refused(name: str) -> None:
    assert list(shape.empty_name(PurePath(name)))


def test_dead_links_are_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Here it is\n")
    assert list(prose.broken_links(page, "see [that](missing.md)"))
    assert list(prose.broken_links(page, "see [that](page.md#elsewhere)"))
    assert not list(prose.broken_links(page, "see [that](#here-it-is), `[x](y)`"))


@pytest.mark.parametrize("line", ["make tost", "INSTALL=0 make tost", "alongside upp f.yaml"])
def test_commands_that_do_not_exist_are_refused(line: str) -> None:
    text = f"```sh\n{line}\n```\n"
    assert list(prose.unknown_commands(PurePath("a.md"), text, {"test"}, lambda word: word == "up"))


@pytest.mark.parametrize("line", ["in /work/main", "as issue 7 says", "see (#12)", "--index-url x"])
def test_words_from_outside_the_project_are_refused(line: str) -> None:
    assert list(prose.forbidden_words(PurePath("a.md"), line))
