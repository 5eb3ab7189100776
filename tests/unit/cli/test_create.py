"""`alongside create` by its command line."""

import base64
import json
from pathlib import Path

import pytest
import yaml

from alongside.cli import main
from alongside.resources import reading, texts


def test_writes_what_a_reader_of_yaml_reads_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {"plain": "a: 1\nb: 2\n", "odd": "tab\there \nnull", "number": "08", "empty": ""}
    words = []
    for key, text in texts.items():
        (tmp_path / key).write_text(text)
        words.append(f"--from-file={tmp_path / key}")
    assert main.run(["create", "configmap", "name", *words, "--from-literal=x=y=z"]) == 0
    made = yaml.safe_load(capsys.readouterr().out)
    assert made["data"] == {**texts, "x": "y=z"}
    assert made["metadata"] == {"name": "name"}


def test_is_what_kubectl_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--from-literal", "a=b", "--dry-run=client", "-o", "json", "-n", "there"]
    assert main.run(["create", "configmap", "name", *words]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["metadata"] == {"name": "name", "namespace": "there"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["Name"], '"Name" is not a name'),
        (["name", "--from-env-file=x", "--from-literal=a=b"], "--from-env-file stands alone"),
        (["name", "--from-literal=a"], "the value is missing; write KEY=VALUE"),
    ],
)
def test_refuses(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["create", "configmap", *words]) == 2
    assert expected in capsys.readouterr().err


def test_a_secret_of_a_certificate_is_what_a_cluster_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain, key = tmp_path / "a.crt", tmp_path / "a.key"
    chain.write_text("-----BEGIN CERTIFICATE-----\nAA==\n")
    key.write_text("-----BEGIN PRIVATE KEY-----\nAA==\n")
    words = ["create", "secret", "tls", "site-tls"]
    assert main.run([*words, f"--cert={chain}", f"--key={key}"]) == 0
    text = capsys.readouterr().out
    made = yaml.safe_load(text)
    assert (made["kind"], made["type"], made["metadata"]) == (
        "Secret",
        "kubernetes.io/tls",
        {"name": "site-tls"},
    )
    both = {name: base64.b64decode(value) for name, value in made["data"].items()}
    assert both == {"tls.crt": chain.read_bytes(), "tls.key": key.read_bytes()}
    reading.read([texts.Source("s.yaml", "/", text)])  # and `up` takes it
    assert main.run([*words, f"--cert={key}", f"--key={tmp_path}/none"]) == 2
    told = capsys.readouterr().err
    assert f"--cert={key}: holds no certificate" in told
    assert f"--key={tmp_path}/none: " in told
