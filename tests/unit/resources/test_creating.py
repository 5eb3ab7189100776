"""The data of a ConfigMap, by kubectl's rules."""

from pathlib import Path

import pytest

from alongside.base import errors
from alongside.resources import creating
from alongside.resources.kubernetes import values


def test_a_file_has_its_name_or_the_given_key(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one")
    data = creating.Data()
    data.add_file(str(tmp_path / "a.yaml"))
    data.add_file(f"b={tmp_path / 'a.yaml'}")
    assert data.values == {"a.yaml": b"one", "b": b"one"}


def test_a_folder_gives_its_files_whose_names_are_keys(tmp_path: Path) -> None:
    (tmp_path / "good").write_text("one")
    (tmp_path / "not good").write_text("two")
    (tmp_path / "..hidden").write_text("three")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "link").symlink_to("good")
    data = creating.Data()
    data.add_file(str(tmp_path))
    assert data.values == {"good": b"one"}


def test_variables_come_from_lines_and_from_here(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("\ufeff# a remark\n\nA=1\n  B=x=y \nHOME\nNONE\n")
    data = creating.Data()
    data.add_variables(str(path), {"HOME": "/h"})
    assert data.values == {"A": b"1", "B": b"x=y ", "HOME": b"/h"}


def test_what_is_no_text_is_binary_data() -> None:
    data = creating.Data({"b": b"\xff", "a": b"text"})
    made = creating.config_map("name", data, namespace="here")
    assert made == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "name", "namespace": "here"},
        "data": {"a": "text"},
        "binaryData": {"b": "/w=="},
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("=x", "the key is missing; write KEY=PATH"),
        ("a b=F", '"a b" is no key'),
        ("..=F", '".." is no key'),
        ("/nowhere", "--from-file=/nowhere: "),
        ("key=D", "is a folder, whose files have their names as keys"),
        ("file", 'the key "file" was given by --from-file=F already'),
    ],
)
def test_refuses(tmp_path: Path, words: str, expected: str) -> None:
    (tmp_path / "file").write_text("")
    file, folder = str(tmp_path / "file"), str(tmp_path)
    data = creating.Data()
    data.add_file(file)
    words = file if words == "file" else words.replace("F", file).replace("D", folder)
    with pytest.raises(errors.UsageError) as refused:
        data.add_file(words)
    assert expected.replace("=F", f"={file}") in str(refused.value)


def test_refuses_more_than_a_config_map_holds() -> None:
    data = creating.Data()
    with pytest.raises(errors.UsageError, match="more than 1048576 bytes"):
        data.add("a", bytes(creating.DATA_BYTES_MAX), "--from-literal")


@pytest.mark.parametrize(
    ("name", "is_good"),
    [("a", True), ("a.b-c", True), ("A", False), ("-a", False), ("", False), ("a" * 254, False)],
)
def test_names(name: str, is_good: bool) -> None:
    assert values.is_subdomain(name) is is_good
