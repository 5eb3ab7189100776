"""`--engine auto` takes the least that works, and says why; what cannot work is refused."""

from __future__ import annotations

import pytest

from alongside.base import errors
from alongside.plan import choosing
from alongside.resources import problems

CLASH = problems.Problem("f.yaml", 7, "StatefulSet/db", "spec.x", "port 1 is needed twice; add one")
ALL = choosing.Facts()
NONE = choosing.Facts(namespaces="no root; be root", docker="no socket; install it")


@pytest.mark.parametrize(
    ("wish", "collisions", "facts", "engine", "reason"),
    [
        ("auto", [], ALL, "process", "no two of its pods need one address"),
        ("auto", [], NONE, "process", "no two of its pods need one address"),
        (
            "auto",
            [CLASH],
            ALL,
            "namespaces",
            "as processes its pods would collide: port 1 is needed twice",
        ),
        (
            "auto",
            [CLASH],
            choosing.Facts(namespaces="no"),
            "docker",
            "as processes its pods would collide: port 1 is needed twice",
        ),
        ("process", [], ALL, "process", "it was asked for"),
        ("namespaces", [CLASH], ALL, "namespaces", "it was asked for"),
        ("docker", [], ALL, "docker", "it was asked for"),
    ],
)
def test_chooses_the_first_engine_that_has_room(
    wish: choosing.Wish,
    collisions: list[problems.Problem],
    facts: choosing.Facts,
    engine: str,
    reason: str,
) -> None:
    choice = choosing.choose(wish, collisions, facts)
    assert (choice.engine, choice.reason) == (engine, reason)


def test_processes_are_not_chosen_where_pods_may_listen_beside_the_address_they_are_told() -> None:
    choice = choosing.choose("auto", [], ALL, doubts=[CLASH])
    told = "unless they listen at status.podIP: port 1 is needed twice"
    assert (choice.engine, told in choice.reason) == ("namespaces", True)
    choice = choosing.choose("auto", [], NONE, doubts=[CLASH])
    told = "provided that they listen at status.podIP; else port 1 is needed twice"
    assert (choice.engine, told in choice.reason) == ("process", True)
    assert choosing.choose("process", [], ALL, doubts=[CLASH]).engine == "process"


CLASHES = "f.yaml:7: StatefulSet/db: spec.x: port 1 is needed twice; add one"
UP = "run alongside down --project p first, then up again"


@pytest.mark.parametrize(
    ("wish", "collisions", "expected"),
    [
        (
            "auto",
            [CLASH],
            (
                CLASHES,
                "--engine namespaces cannot be used: no root; be root",
                "--engine docker cannot be used: no socket; install it",
            ),
        ),
        ("process", [CLASH], (CLASHES,)),
        ("namespaces", [], ("--engine namespaces cannot be used: no root; be root",)),
        ("docker", [], ("--engine docker cannot be used: no socket; install it",)),
    ],
)
def test_refuses_what_has_no_room(
    wish: choosing.Wish, collisions: list[problems.Problem], expected: tuple[str, ...]
) -> None:
    with pytest.raises(errors.UsageError) as caught:
        choosing.choose(wish, collisions, NONE)
    assert caught.value.problems == expected


def test_a_project_that_is_up_keeps_its_engine() -> None:
    assert choosing.keep("auto", "docker", [], "p").engine == "docker"
    assert choosing.keep("namespaces", "namespaces", [CLASH], "p").engine == "namespaces"
    with pytest.raises(errors.UsageError) as caught:
        choosing.keep("docker", "process", [], "p")
    assert str(caught.value) == (
        'project "p" is up with --engine process, and does not change it to docker while it is '
        f"up; {UP}"
    )
    with pytest.raises(errors.UsageError) as caught:
        choosing.keep("auto", "process", [CLASH], "p")
    assert caught.value.problems == (
        CLASHES,
        f'project "p" is up with --engine process, which it keeps; for another one {UP}',
    )
