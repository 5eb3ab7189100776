"""Dockerfiles in the style of widely used ones give the drafts and findings that were read."""

from __future__ import annotations

import pytest
from tests.contract import drafts

from alongside.base import environment
from alongside.contract import page, written
from alongside.contract.drafting import checking, completing, sources

REMEDY = "run .venv/bin/python -m tests.contract.drafts, and read what changed"


def test_there_are_many_of_them() -> None:
    assert len(drafts.NAMES) >= 10


@pytest.mark.parametrize("name", drafts.NAMES)
def test_a_dockerfile_gives_the_draft_that_was_read(name: str) -> None:
    assert drafts.drafted(name) == (drafts.FOLDER / name / "draft.yaml").read_text(), REMEDY


@pytest.mark.parametrize("name", drafts.NAMES)
def test_a_dockerfile_lacks_what_was_read(name: str) -> None:
    assert drafts.lacking(name) == (drafts.FOLDER / name / "lacking.txt").read_text(), REMEDY


@pytest.mark.parametrize("name", drafts.NAMES)
def test_a_draft_reads_back_as_the_same_contract(name: str) -> None:
    draft = drafts.draft(name)
    assert written.from_text(drafts.drafted(name), name) == draft.contract


@pytest.mark.parametrize("name", drafts.NAMES)
def test_a_dockerfile_agrees_with_its_own_draft(name: str) -> None:
    path = str(drafts.dockerfile(name))
    image = sources.image(path, sources.Wishes(), environment.Environment())
    told = [one.line for one in checking.check(image, drafts.draft(name).contract)]
    assert [line for line in told if "contract" in line] == []


@pytest.mark.parametrize("name", drafts.NAMES)
def test_every_question_of_a_draft_stands_with_its_line(name: str) -> None:
    text = drafts.drafted(name)
    contract, findings = completing.check(text, "draft.yaml")
    lines = text.splitlines()
    asked = [one for one in findings if "is not answered" in one.text]
    assert len(asked) == len(contract.questions)
    for finding in asked:
        line = lines[int(finding.place.rpartition(":")[2]) - 1]
        assert line.lstrip().startswith("- ")


@pytest.mark.parametrize("name", drafts.NAMES)
def test_a_page_names_every_variable_and_question(name: str) -> None:
    contract = drafts.draft(name).contract
    shown = page.render(contract)
    assert all(f"`{contract.variable(one)}`" in shown for one in contract.parameters)
    assert all(question in shown for question in contract.questions)
