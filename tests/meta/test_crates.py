"""The crate graph is the layering: what is pure stays pure, and only one crate knows Python."""

from __future__ import annotations

import json
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import TypedDict

from tests.meta import tree

# A crate depends on crates of lower rank only. A new crate that has no place here fails.
RANKS = {
    "placement": 0,
    "protocols": 0,
    "document": 1,
    "policy": 1,
    "transport": 2,
    "tls": 3,
    "tcp": 3,
    "acme": 4,
    "ambassador": 4,
    "http": 4,
    "cache": 5,
    "dataplane": 6,
    "python": 6,
}
PURE = {"placement", "protocols", "document", "policy"}
# Clocks, sockets, threads and interpreters by their crates' names.
IMPURE_CRATES = {"tokio", "mio", "socket2", "rustix", "notify", "hyper", "rayon", "pyo3", "rand"}
# One of each: a second would double what has to be trusted, and audited.
BANNED_CRATES = {
    "openssl": "one TLS stack, rustls",
    "openssl-sys": "one TLS stack, rustls",
    "native-tls": "one TLS stack, rustls",
    "aws-lc-rs": "rustls stands on ring here",
    "async-std": "one runtime, tokio",
    "reqwest": "the engine is ours",
    "log4rs": "one way to log, tracing",
}
# Crates that bring a second version in, each with who asks for it; empty this when they catch up.
DUPLICATES_KNOWN: dict[str, str] = {
    "base64": "instant-acme has 0.22, what it stands on 0.23",
    "bit-vec": "optional in yasna and not taken; proptest has another in tests",
    "getrandom": "ring has 0.2",
    "syn": "asn1-rs derives with 2, while we build alone",
}


class Package(TypedDict):
    """A package as cargo tells of it; only what is read here."""

    id: str
    name: str


class DependencyKind(TypedDict):
    """Why a package is depended on: `kind` is None, "dev" or "build"."""

    kind: str | None
    target: str | None


class Dependency(TypedDict):
    """An edge of the graph, to a package's id."""

    pkg: str
    dep_kinds: list[DependencyKind]


class Node(TypedDict):
    """A package's place in the graph."""

    id: str
    deps: list[Dependency]


class Resolve(TypedDict):
    """The graph."""

    nodes: list[Node]


class CargoMetadata(TypedDict):
    """What `cargo metadata` prints."""

    packages: list[Package]
    resolve: Resolve


@cache
def graph_of_cargo() -> CargoMetadata:
    """Return cargo's description of the whole dependency graph."""
    told = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1"],
        cwd=tree.ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    graph: CargoMetadata = json.loads(told)
    return graph


def runtime_graph() -> dict[str, set[str]]:
    """Return each package's normal dependencies on this system, by name."""
    graph: dict[str, set[str]] = {}
    told = graph_of_cargo()
    names = {package["id"]: package["name"] for package in told["packages"]}
    for node in told["resolve"]["nodes"]:
        kinds = {
            names[dep["pkg"]]
            for dep in node["deps"]
            if any(
                kind["kind"] is None and "windows" not in str(kind["target"])
                for kind in dep["dep_kinds"]
            )
        }
        graph.setdefault(names[node["id"]], set()).update(kinds)
    return graph


def reached(name: str, graph: dict[str, set[str]]) -> set[str]:
    """Return everything a crate depends on, however far."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        fresh = graph.get(waiting.pop(), set()) - seen
        seen |= fresh
        waiting += fresh
    return seen


def members() -> list[str]:
    """Return the folders under rust/ that hold a crate."""
    return [path.parent.name for path in tree.files() if path.match("rust/*/Cargo.toml")]


def test_every_crate_has_a_place() -> None:
    assert set(members()) == set(RANKS)


def test_crates_depend_downwards() -> None:
    graph = runtime_graph()
    wrong = [
        f"{crate} must not depend on {other}"
        for crate in members()
        for other in members()
        if f"alongside-{other}" in graph[f"alongside-{crate}"] and RANKS[other] >= RANKS[crate]
    ]
    assert wrong == []


def test_pure_crates_reach_nothing_that_does_input_or_output() -> None:
    graph = runtime_graph()
    ours = {f"alongside-{crate}" for crate in set(RANKS) - PURE}
    wrong = {crate: reached(f"alongside-{crate}", graph) & (IMPURE_CRATES | ours) for crate in PURE}
    assert {crate: found for crate, found in wrong.items() if found} == {}


def test_the_extension_stands_on_pure_crates_and_alone_knows_python() -> None:
    graph = runtime_graph()
    assert [crate for crate in members() if "pyo3" in graph[f"alongside-{crate}"]] == ["python"]
    shells = {f"alongside-{crate}" for crate in set(RANKS) - PURE - {"python"}}
    assert reached("alongside-python", graph) & shells == set()


def test_pure_crates_ban_clocks_and_threads() -> None:
    texts = {tree.text(Path("rust") / crate / "clippy.toml") for crate in PURE}
    assert len(texts) == 1, "the clippy.toml of the pure crates differ"
    banned = {entry["path"] for entry in tomllib.loads(texts.pop())["disallowed-methods"]}
    wanted = {"std::time::Instant::now", "std::time::SystemTime::now", "std::thread::spawn"}
    assert wanted <= banned


def test_every_crate_takes_the_workspace_lints() -> None:
    manifests = [path for path in tree.files() if path.match("rust/*/Cargo.toml")]
    lax = [
        str(p) for p in manifests if tomllib.loads(tree.text(p)).get("lints") != {"workspace": True}
    ]
    assert lax == []
    lints = tomllib.loads(tree.text(Path("Cargo.toml")))["workspace"]["lints"]
    assert lints["rust"]["unsafe_code"] == "forbid"


def test_the_lock_file_holds_nothing_banned_and_nothing_twice() -> None:
    reachable = reached("alongside-dataplane", runtime_graph())
    reachable |= reached("alongside-python", runtime_graph())
    packages = [package["name"] for package in graph_of_cargo()["packages"]]
    twice = {name for name in reachable if packages.count(name) > 1} - set(DUPLICATES_KNOWN)
    assert twice == set()
    assert {name: BANNED_CRATES[name] for name in reachable & set(BANNED_CRATES)} == {}


def test_crates_come_from_one_public_registry() -> None:
    locked = tomllib.loads(tree.text(Path("Cargo.lock")))["package"]
    sources = {package.get("source") for package in locked} - {None}
    assert sources == {"registry+https://github.com/rust-lang/crates.io-index"}
