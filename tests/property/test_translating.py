"""Variables are what Kubernetes makes of them, however they name each other; names are distinct."""

from __future__ import annotations

import base64
import json
from typing import Literal

from hypothesis import assume, given
from hypothesis import strategies as st

from alongside.plan import translating, variables
from alongside.resources import problems, reading, texts

ADDRESS, HOST, SERVICE = "10.1.2.3", "10.1.0.1", "10.9.9.9"
GIVEN = {"S_SERVICE_HOST": SERVICE, "ALONGSIDE_VOLUME_V": "/v"}
FIELDS = {"status.podIP": ADDRESS, "status.hostIP": HOST}
NAMES = ["A", "B", "C", "IP"]
Kind = Literal["value", "config", "field"]
_PIECES = st.sampled_from(
    ["$", "$$", "(", ")", "x", "$(", *(f"$({name})" for name in [*NAMES, *GIVEN, "NO"])]
)
_TEXT = st.lists(_PIECES, max_size=5).map("".join)
_VARIABLE = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.just("value"), _TEXT),
    st.tuples(st.sampled_from(NAMES), st.just("config"), _TEXT),
    st.tuples(st.sampled_from(NAMES), st.just("field"), st.sampled_from(sorted(FIELDS))),
)


def as_kubernetes(text: str, known: dict[str, str]) -> str:
    """Expand as Kubernetes' third_party/forked/golang/expansion does, character by character."""
    result, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            result, at = result + text[at], at + 1
        elif text[at + 1] == "$":
            result, at = result + "$", at + 2
        elif text[at + 1] == "(" and ")" in text[at:]:
            end = text.index(")", at)
            name = text[at + 2 : end]
            result, at = result + known.get(name, f"$({name})"), end + 1
        else:
            result, at = result + text[at : at + 2], at + 2
    return result


def environment(wanted: list[tuple[str, Kind, str]]) -> dict[str, str]:
    """Return variables as the kubelet's makeEnvironmentVariables does."""
    known: dict[str, str] = {}
    for name, kind, text in wanted:
        known[name] = {
            "value": as_kubernetes(text, {**GIVEN, **known}),
            "config": text,
            "field": FIELDS.get(text, ""),
        }[kind]
    return known


def documents(wanted: list[tuple[str, Kind, str]], words: list[str]) -> str:
    """Return a pod with the variables and arguments, and the ConfigMap that it takes some from."""
    env: list[object] = []
    for at, (name, kind, text) in enumerate(wanted):
        if kind == "value":
            env.append({"name": name, "value": text})
        elif kind == "config":
            source: object = {"configMapKeyRef": {"name": "cm", "key": f"k{at}"}}
            env.append({"name": name, "valueFrom": source})
        else:
            env.append({"name": name, "valueFrom": {"fieldRef": {"fieldPath": text}}})
    container = {"name": "a", "command": ["run", *words], "env": env}
    spec = {"containers": [container], "volumes": [{"name": "v"}]}
    data = {f"k{at}": text for at, (_, _, text) in enumerate(wanted)}
    service = {"selector": {"app": "x"}, "ports": [{"port": 80}]}
    return joined(
        {"kind": "Pod", "metadata": {"name": "p"}, "spec": spec},
        {"kind": "ConfigMap", "metadata": {"name": "cm"}, "data": data},
        {"kind": "Service", "metadata": {"name": "s"}, "spec": service},
    )


def joined(*resources: dict[str, object]) -> str:
    return "\n---\n".join(json.dumps({"apiVersion": "v1", **one}) for one in resources)


def translated(text: str) -> translating.Translated:
    return translating.pods(reading.read([texts.Source("f.yaml", "/data", text)]))


@given(wanted=st.lists(_VARIABLE, max_size=6), words=st.lists(_TEXT, max_size=3))
def test_variables_and_arguments_are_as_in_kubernetes(
    wanted: list[tuple[str, Kind, str]], words: list[str]
) -> None:
    try:
        (unit,) = translated(documents(wanted, words)).units
    except problems.ResourceError as error:
        assert "is set before, to what is known only at the start" in str(error)  # noqa: PT017
        names = [name for name, _, _ in wanted]
        assume(len(set(names)) == len(names))
        raise
    filled = variables.filled(unit.pod.containers[0], address=ADDRESS, host=HOST, given=GIVEN)
    expected = environment(wanted)
    assert {one.name: one.value for one in filled.variables} == expected
    assert list(filled.command[1:]) == [
        as_kubernetes(text, {**GIVEN, **expected}) for text in words
    ]


@given(
    wanted=st.lists(
        st.tuples(
            st.sampled_from(["Deployment", "StatefulSet", "Job"]),
            st.from_regex(r"[a-z]([a-z0-9-]{0,60}[a-z0-9])?", fullmatch=True),
            st.integers(1, 4),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda one: one[:2],
    )
)
def test_pods_have_distinct_names_or_that_is_told(wanted: list[tuple[str, str, int]]) -> None:
    resources: list[dict[str, object]] = []
    for kind, name, count in wanted:
        spec: dict[str, object] = {"containers": [{"name": "a", "image": "x"}]}
        number, version = ("completions", "batch/v1") if kind == "Job" else ("replicas", "apps/v1")
        if kind == "Job":
            spec["restartPolicy"] = "Never"
        template = {"metadata": {"labels": {"app": name}}, "spec": spec}
        whole = {number: count, "template": template}
        resources.append(
            {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": whole}
        )
    try:
        units = translated(joined(*resources)).units
    except problems.ResourceError as error:
        assert "has the name of one of" in str(error)  # noqa: PT017 - both outcomes are right
        return
    names = [unit.pod.name for unit in units]
    assert len(set(names)) == len(names) == sum(count for _, _, count in wanted)
    assert all(len(unit.pod.hostname or unit.pod.name) <= 63 for unit in units)
    assert {name for unit in units for name in unit.after} <= set(names)


@given(
    data=st.dictionaries(
        st.from_regex(r"[A-Za-z0-9._-]{1,9}", fullmatch=True), st.binary(max_size=9)
    )
)
def test_any_data_is_read_and_mounted_or_told(data: dict[str, bytes]) -> None:

    encoded = {key: base64.b64encode(content).decode() for key, content in data.items()}
    spec = {
        "containers": [{"name": "a", "image": "x"}],
        "volumes": [{"name": "v", "secret": {"secretName": "s"}}],
    }
    text = joined(
        {"kind": "Secret", "metadata": {"name": "s"}, "data": encoded},
        {"kind": "Pod", "metadata": {"name": "s"}, "spec": spec},
    )
    try:
        (unit,) = translated(text).units
    except problems.ResourceError:
        assert any(key == "." or key.startswith("..") for key in data)
        return
    assert {one.path: one.content for one in unit.pod.volumes[0].files} == data
