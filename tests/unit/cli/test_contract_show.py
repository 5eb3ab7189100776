"""A contract is shown in each form that somebody reads."""

import dataclasses
import json

import pytest
import yaml

from alongside.base import release
from alongside.cli import main
from alongside.contract import catalogue, written


def show(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main.run(["contract", "show", *words])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_what_is_shown_is_what_diff_reads(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    ours = dataclasses.replace(catalogue.contract_of(name), version=release.version())
    expected = written.to_text(ours)
    assert show(capsys, name) == (0, expected)
    code, text = show(capsys, name, "--format", "yaml")
    assert (code, written.to_text(written.from_text(text, "x"))) == (0, expected)


def test_other_forms_are_a_page_a_schema_and_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(capsys, "cache", "--format", "markdown")[1].startswith("# alongside cache\n")
    schema = json.loads(show(capsys, "cache", "--format", "schema")[1])
    assert schema["properties"]["memory"]["default"] == "256Mi"
    assert "ENV CACHE_MEMORY=256Mi\n" in show(capsys, "cache", "--format", "dockerfile")[1]


def test_yaml_that_is_shown_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    data = yaml.safe_load(show(capsys, "route", "--format", "yaml")[1])
    assert next(iter(data)) == "contract"


def test_an_unknown_component_or_form_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(capsys, "cahe")[0] == 2
    assert show(capsys, "cache", "--format", "xml")[0] == 2
