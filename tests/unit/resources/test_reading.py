"""Every mistake of a file is told at once, with its line, field and remedy."""

from __future__ import annotations

import pytest

from alongside.resources import problems, reading, texts

CACHE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: photos}
spec:
  protocol: http
  origin: {url: "http://127.0.0.1:8000"}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  containers:
  - name: app
    command: [serve]
"""


def read(text: str) -> reading.Resources:
    return reading.read([texts.Source("f.yaml", "/data", text)])


def mistakes(text: str) -> list[str]:
    with pytest.raises(problems.ResourceError) as caught:
        read(text)
    return list(caught.value.problems)


def test_reads_a_cache_with_its_defaults() -> None:
    spec = read(CACHE + "  memory: 64Mi\n").caches[0].model.spec
    assert (spec.shards, spec.function, spec.memory, spec.port) == (1, "ketama", 64 * 2**20, None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("shards: 0", "spec.shards: 0 is out of range; write at least 1"),
        ("shards: three", 'spec.shards: "three" is not a whole number; write digits such as 3'),
        ('shards: "3"', 'spec.shards: "3" is not a whole number; write 3 without quotes'),
        ("shards: true", "spec.shards: true is not a whole number; write digits such as 3"),
        ("shard: 3", 'spec.shard: unknown field; did you mean "shards"?'),
        ("memory: 64M i", 'spec.memory: "64M i" is not a size: write it without blanks, 64Mi'),
        ("memory: 1k", "spec.memory: 1k is too small; write at least 1Mi"),
        ("replicas: 17", "spec.replicas: 17 is out of range; write 1 to 16"),
        (
            'replicas: "3"',
            'spec.replicas: "3" is not a number of replicas; write 3 without quotes, or bounds '
            "such as {min: 1, max: 4}",
        ),
        (
            "replicas: true",
            "spec.replicas: true is not a number of replicas; write digits such as 2, or bounds "
            "such as {min: 1, max: 4}",
        ),
        ("replicas: {min: 1}", "spec.replicas.max: missing; write it"),
        (
            "replicas: {min: 3, max: 2}",
            "spec.replicas: min 3 is more than max 2; write {min: 2, max: 3}",
        ),
        ("routers: 65", "spec.routers: 65 is out of range; write at most 64"),
        ("buffer: 17Mi", "spec.buffer: 17Mi is out of range; write 0B to 16Mi"),
        (
            "fallback: next_shard",
            'spec.fallback: "next_shard" is not known; did you mean "next-shard"? '
            "write origin or next-shard or error",
        ),
        ("limits: {pernode: 1}", 'spec.limits.pernode: unknown field; did you mean "perNode"?'),
        (
            "limits: {queueTimeout: 5}",
            'spec.limits.queueTimeout: "5" is not a duration: it has no unit; write 5s for '
            "seconds, 5m for minutes or 5ms",
        ),
        (
            "limits: {queueTimeout: 25h}",
            "spec.limits.queueTimeout: 25h is out of range; write at most 24h",
        ),
        ("retries: {percent: 101}", "spec.retries.percent: 101 is out of range; write at most 100"),
        ("accessLog: {oneIn: 0}", "spec.accessLog.oneIn: 0 is out of range; write at least 1"),
        ("warmup: on", "spec.warmup: true is not a warm-up; write {bandwidth: 32Mi} or off"),
        (
            "warmup: {bandwidth: 1B}",
            "spec.warmup.bandwidth: 1B is out of range; write 1Ki to 1024Gi",
        ),
        (
            "function: maglev",
            'spec.function: "maglev" is not there yet; write modulo or ketama',
        ),
        (
            "function: ketma",
            'spec.function: "ketma" is not known; did you mean "ketama"? write modulo or ketama',
        ),
        ("port: 0", "spec.port: 0 is out of range; write at least 1"),
        ("expose: world", 'spec.expose: "world" is not known; write local or public'),
    ],
)
def test_names_line_field_and_remedy(line: str, expected: str) -> None:
    assert mistakes(CACHE + f"  {line}\n") == [f"f.yaml:7: ShardedCache/photos: {expected}"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [("replicas: 2", (2, 2)), ("replicas: {min: 1, max: 4}", (1, 4)), ("shards: 1", (1, 1))],
)
def test_reads_replicas_as_a_number_or_bounds(line: str, expected: tuple[int, int]) -> None:
    replicas = read(f"{CACHE}  {line}\n").caches[0].model.spec.replicas
    assert (replicas.min, replicas.max) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("warmup: off", None),
        ('warmup: "off"', None),
        ("warmup: {}", 32 * 2**20),
        ("warmup: {bandwidth: 1Mi}", 2**20),
    ],
)
def test_reads_a_warm_up_or_that_there_is_none(line: str, expected: int | None) -> None:
    assert read(f"{CACHE}  {line}\n").caches[0].model.spec.warmup.bandwidth == expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("{service: a}", "the port is missing; write {service: NAME, port: PORT}"),
        ("{}", "write either {service: NAME, port: PORT} or {url: http://HOST:PORT}"),
    ],
)
def test_refuses_half_an_origin(origin: str, expected: str) -> None:
    text = CACHE.replace('{url: "http://127.0.0.1:8000"}', origin)
    assert mistakes(text) == [f"f.yaml:6: ShardedCache/photos: spec.origin: {expected}"]


@pytest.mark.parametrize("url", ["https://a", "ftp://a", "http://a/path", "http://", "http://a:x"])
def test_refuses_urls_that_are_no_origin(url: str) -> None:
    (found,) = mistakes(CACHE.replace("http://127.0.0.1:8000", url))
    assert found.startswith("f.yaml:6: ShardedCache/photos: spec.origin.url: ")


@pytest.mark.parametrize(
    "host",
    [
        *("a..b", "exa mple", "bücher.example", "1.2.3", "h:", "@h", ":pw@h", "[::1%25eth0]:80"),
        *(f"{'x' * 64}.de", "x" * 300, "a'b", "[1.2.3.4]:80", ".", "h:080000"),
    ],
)
def test_refuses_hosts_that_nobody_could_reach(host: str) -> None:
    (found,) = mistakes(CACHE.replace("127.0.0.1:8000", host))
    assert found.startswith("f.yaml:6: ShardedCache/photos: spec.origin.url: ")
    assert "; write " in found or "; correct " in found


@pytest.mark.parametrize("host", ["a_b:80", "h", "h.", "[::1]:80", "127.0.0.1", "h:80/"])
def test_reads_hosts_that_can_be_reached(host: str) -> None:
    assert read(CACHE.replace("127.0.0.1:8000", host)).caches


def test_tells_all_mistakes_of_all_documents_at_once() -> None:
    text = CACHE + "  shards: 0\n  prot: 1\n---\n" + POD + "    comand: [x]\n---\nkind: X\n"
    lines_found = [one.split(": ")[0] for one in mistakes(text)]
    assert lines_found == ["f.yaml:7", "f.yaml:8", "f.yaml:17", "f.yaml:19"]


@pytest.mark.parametrize(
    "field", ["terminationMessagePath: /x", "volumeDevices: []", "stdin: true"]
)
def test_warns_once_of_what_kubernetes_knows_and_we_do_not_honour(field: str) -> None:
    resources = read(POD + f"    {field}\n")
    name = field.split(":", maxsplit=1)[0]
    assert resources.warnings == (
        f"f.yaml:8: Pod/app: spec.containers[0].{name}: has no effect here",
    )
    assert resources.pods[0].model.spec.containers[0].command == ["serve"]


def test_refuses_an_unquoted_number_as_a_variable() -> None:
    (found,) = mistakes(POD + "    env: [{name: PORT, value: 80}]\n")
    assert found.endswith('80 is not a text; write it in quotes, "80"')


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("DaemonSet", '"DaemonSet" is not run here; write a Deployment'),
        ("Ingress", '"Ingress" has a meaning only in a cluster; leave it out here'),
        ("Pood", 'did you mean "Pod"?'),
        ("App", '"App" is not there yet'),
    ],
)
def test_refuses_other_kinds(kind: str, expected: str) -> None:
    (found,) = mistakes(f"kind: {kind}\n")
    assert expected in found


def test_refuses_two_resources_of_one_name() -> None:
    (found,) = mistakes(f"{POD}---\n{POD}")
    assert found == (
        "f.yaml:11: Pod/app: metadata.name: already used by f.yaml:3; give one another name"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", "f.yaml:2: a: written twice, first in line 1; keep one of the two"),
        ("a: [\n", "not YAML"),
        ("a: !!python/object/apply:os.system [x]\n", "is not a resource"),
        ("a: !x y\n", "has the tag !x"),
        ("x: &x [*x]\n", "aliases included"),
        ("a: {<<: {b: 1}}\n", "merge keys"),
        ("[" * 100, "levels"),
        ("\x00", "not YAML"),
    ],
)
def test_refuses_dangerous_or_broken_yaml(text: str, expected: str) -> None:
    assert any(expected in found for found in mistakes(text)) or expected == "is not a resource"


def test_refuses_aliases_that_multiply() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for at in range(1, 9):
        text += f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]\n"
    (found,) = mistakes(text)
    assert "aliases included" in found


def test_refuses_a_file_that_is_too_large() -> None:
    (found,) = mistakes("#" * (texts.BYTES_MAX + 1))
    assert "larger than" in found


@pytest.mark.parametrize(
    "text", ["", "# shards: 3\n---\n", "apiVersion: v1\nkind: List\nitems: []\n"]
)
def test_files_without_a_resource_are_refused_for_they_would_stop_all(text: str) -> None:
    assert mistakes(text) == [f"f.yaml:1: {reading.NOTHING}"]


def test_an_empty_file_beside_others_is_named() -> None:
    sources = [texts.Source("f.yaml", "/data", CACHE), texts.Source("g.yaml", "/data", "\n")]
    with pytest.raises(problems.ResourceError) as caught:
        reading.read(sources)
    assert list(caught.value.problems) == [f"g.yaml:1: {reading.NOTHING}"]
