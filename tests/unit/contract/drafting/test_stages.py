"""The last stage, or a named one, inherits what a builder would give it."""

from __future__ import annotations

import pytest

from alongside.base import errors
from alongside.contract.drafting import dockerfiles, images, stages


def image(text: str, target: str = "", files: dict[str, str] | None = None) -> images.Image:
    parsed = dockerfiles.parse(text.encode())
    return stages.image_of(parsed, name="Dockerfile", target=target, read=(files or {}).get)


def values(found: images.Image) -> dict[str, str]:
    return {name: variable.value.text for name, variable in found.variables.items()}


def test_a_stage_inherits_from_the_stage_it_is_built_on() -> None:
    found = image(
        "FROM x AS a\nENV A=1\nUSER 5\nEXPOSE 80\nFROM y AS b\nENV B=2\nFROM a\nENV C=3\n"
    )
    assert (values(found), found.base) == ({"A": "1", "C": "3"}, "x")
    assert (found.user and found.user.text, [one.first for one in found.exposed]) == ("5", [80])


@pytest.mark.parametrize("target", ["b", "B", "1"])
def test_a_stage_is_named_by_name_or_number(target: str) -> None:
    assert values(image("FROM x AS a\nFROM y AS b\nENV B=2\nFROM z", target)) == {"B": "2"}


def test_an_unknown_stage_is_answered_with_the_nearest() -> None:
    with pytest.raises(errors.UsageError, match="did you mean build"):
        image("FROM x AS build", "biuld")


def test_arguments_reach_variables_and_what_stands_on_their_stage() -> None:
    text = "ARG V=1\nFROM x AS a\nARG V\nENV A=$V\nFROM a\nENV B=$V C=${V:-none}"
    assert values(image(text)) == {"A": "1", "B": "1", "C": "1"}
    text = "ARG V=1\nFROM scratch AS a\nARG V\nFROM scratch\nENV B=$V C=${V:-none}"
    assert values(image(text)) == {"B": "", "C": "none"}


def test_what_a_base_may_have_set_is_not_known() -> None:
    found = image("FROM x\nARG A=1\nENV B=$A C=/app:$PATH D=${HOME:-/root}\nENV E=$C").variables
    known = {name: variable.is_known for name, variable in found.items()}
    assert known == {"B": True, "C": False, "D": False, "E": False}
    found = image("FROM scratch\nENV C=/app:$PATH").variables
    assert found["C"].is_known


def test_an_argument_without_a_default_is_told() -> None:
    found = image("FROM x\n# the commit\nARG SHA\nENV A=$SHA")
    assert found.variables["A"].arguments == ("SHA",)
    assert found.variables["A"].value.comment == "the commit"


def test_a_variable_wins_over_an_argument_of_its_name() -> None:
    assert values(image("FROM x\nENV A=env\nARG A=arg\nENV B=$A"))["B"] == "env"


def test_values_of_one_instruction_do_not_see_each_other() -> None:
    assert values(image("FROM x\nENV A=1\nENV A=2 B=$A"))["B"] == "1"


def test_both_forms_of_a_variable_are_read() -> None:
    assert values(image("FROM x\nENV A b  c\nENV B=\"b c\" D='$A'")) == {
        "A": "b  c",
        "B": "b c",
        "D": "$A",
    }


def test_what_a_base_of_the_same_file_triggers_is_applied() -> None:
    found = image("FROM x AS a\nONBUILD ENV A=1\nONBUILD EXPOSE 81\nFROM a")
    assert values(found) == {"A": "1"}
    assert found.triggers == ()
    assert [one.text for one in image("FROM x AS a\nONBUILD USER 1\nFROM a", "a").triggers] == [
        "USER 1"
    ]


def test_ports_are_read_with_ranges_protocols_and_variables() -> None:
    found = image("FROM x\nENV P=90\nEXPOSE 80 $P 53/UDP 1000-1002 x 0 70000\nEXPOSE 80/tcp")
    told = [(one.first, one.last, one.protocol, one.variables) for one in found.exposed]
    assert told == [
        (80, 80, "tcp", ()),
        (90, 90, "tcp", ("P",)),
        (53, 53, "udp", ()),
        (1000, 1002, "tcp", ()),
    ]
    assert [one.text for one in found.not_ports] == ["x", "0", "70000"]


def test_a_new_entrypoint_drops_the_command_of_the_base() -> None:
    found = image('FROM x AS a\nCMD ["old"]\nFROM a\nENTRYPOINT ["new"]')
    assert found.command is None


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ('FROM x\nCOPY run.sh /\nENTRYPOINT ["/run.sh"]', {"run.sh": "#!/bin/sh\n"}),
        ('FROM x\nCOPY bin/ /usr/local/bin/\nENTRYPOINT ["run.sh"]', {"bin/run.sh": "#!/bin/sh\n"}),
        ('FROM x\nCOPY *.sh /bin/\nENTRYPOINT ["run.sh"]', {"run.sh": "#!/bin/sh\n"}),
        ('FROM x\nWORKDIR /app\nCOPY . .\nCMD ["./a/../app/run.sh"]', {"run.sh": "#!/bin/sh\n"}),
        (
            'FROM x AS b\nCOPY . /src\nFROM y\nCOPY --from=b /src/run.sh /\nCMD ["/run.sh"]',
            {"run.sh": "#!/bin/sh\n"},
        ),
        ('FROM x\nCOPY <<E /run.sh\n#!/bin/sh\nE\nCMD ["/run.sh"]', {}),
        (
            'FROM x\nCOPY a /usr/bin/start\nCMD ["tini", "--", "start"]',
            {"a": "#!/usr/bin/env bash\n"},
        ),
    ],
)
def test_the_script_that_is_started_is_found(text: str, files: dict[str, str]) -> None:
    assert len(image(text, files=files).scripts) == 1


@pytest.mark.parametrize(
    "words",
    [
        '"sh", "-c", ": ${A:?}"',
        '"/bin/bash", "-e", "-uc", ": ${A:?}", "x"',
        '"sh", "-ec", ": ${A:?}"',
    ],
)
def test_what_a_shell_is_given_is_a_script(words: str) -> None:
    (script,) = image(f"FROM x\n\nENTRYPOINT [{words}]").scripts
    assert (script.text, script.place(0)) == (": ${A:?}", "Dockerfile:3")
    (file,) = image(
        'FROM x\nCOPY run.sh /\nCMD ["python", "-c", "sh"]\nCMD ["sh", "/run.sh", "-c", "x"]',
        files={"run.sh": "#!/bin/sh\n"},
    ).scripts
    assert file.name == "run.sh"


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ('FROM x\nCOPY run /\nENTRYPOINT ["/run"]', {"run": "\x7fELF"}),
        ('FROM x\nCOPY run.py /\nENTRYPOINT ["/run.py"]', {"run.py": "#!/usr/bin/python3"}),
        ('FROM x\nCOPY --from=other/image run.sh /\nCMD ["/run.sh"]', {"run.sh": "#!/bin/sh"}),
        ('FROM x\nCOPY run.sh /else/\nCMD ["/run.sh"]', {"run.sh": "#!/bin/sh"}),
    ],
)
def test_what_is_no_script_of_the_context_is_left_alone(text: str, files: dict[str, str]) -> None:
    assert image(text, files=files).scripts == ()


def test_stages_that_copy_from_each_other_come_to_an_end() -> None:
    copies = "".join(f"COPY --from=s{n} / /\n" * 30 for n in range(8))
    text = "".join(f"FROM x AS s{n}\n{copies}" for n in range(9)) + 'CMD ["/run.sh"]'
    assert image(text).scripts == ()
