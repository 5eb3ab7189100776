"""What is another pod, and so restarts one: what a user wrote of it, not what that stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.plan.translating import kinds

if TYPE_CHECKING:
    from alongside.plan import pods

REFERENCE = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}


def made(data: dict[str, str], **fields: object) -> pods.Pod:
    """Return the pod of a container with fields, beside a ConfigMap."""
    wanted = kinds.pod("p", containers=[kinds.container(**fields)])
    return kinds.translated(kinds.document("ConfigMap", "cm", data=data), wanted).units[0].pod


@pytest.mark.parametrize(
    "fields",
    [
        {"env": [REFERENCE]},
        {"env": [REFERENCE], "command": ["run", "$(A)"]},
        {"env": [REFERENCE], "args": ["--as=$(A)"]},
        {"env": [REFERENCE, {"name": "B", "value": "$(A)/b"}], "args": ["$(B)"]},
        {"envFrom": [{"configMapRef": {"name": "cm"}}]},
        {"envFrom": [{"configMapRef": {"name": "cm"}}], "args": ["$(k)", "$(new)"]},
    ],
)
def test_a_changed_config_map_is_the_same_pod_with_other_values(fields: dict[str, object]) -> None:
    before = made({"k": "1"}, **fields)
    after = made({"k": "$(status)", "new": "key"}, **fields)
    assert before == after
    told = [[one.value for one in pod.containers[0].variables] for pod in (before, after)]
    assert told[0] != told[1]


def test_words_have_the_values_of_today() -> None:
    fields = {"env": [REFERENCE], "command": ["run", "$(A)"], "args": ["$(A)!"]}
    after = made({"k": "2"}, **fields).containers[0]
    assert (after.command, after.args) == (("run", "2"), ("2!",))


@pytest.mark.parametrize(
    "fields",
    [
        {"command": ["other"]},
        {"args": ["other"]},
        {"env": [{"name": "A", "value": "other"}]},
        {"envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}]},
        {"image": "other"},
        {"workingDir": "/other"},
    ],
)
def test_what_is_written_otherwise_is_another_pod(fields: dict[str, object]) -> None:
    assert made({"k": "1"}) != made({"k": "1"}, **fields)


def test_the_order_in_which_fields_are_written_is_the_same_pod() -> None:
    turned = dict(reversed(REFERENCE.items()))
    assert made({"k": "1"}, env=[REFERENCE]) == made({"k": "1"}, env=[turned])
