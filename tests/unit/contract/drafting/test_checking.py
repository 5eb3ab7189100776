"""What an image lacks, and where it and its contract disagree, is told with its line."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from alongside.contract.drafting import checking, dockerfiles, drafting, images, stages

if TYPE_CHECKING:
    from alongside.contract import promise

WHOLE = """FROM x
LABEL org.opencontainers.image.title=a org.opencontainers.image.description=b \\
  org.opencontainers.image.version=1 org.opencontainers.image.source=https://a.example \\
  org.opencontainers.image.revision=$R org.opencontainers.image.created=2026-01-31T12:00:00Z \\
  org.opencontainers.image.documentation=https://a.example/docs \\
  org.opencontainers.image.licenses="Apache-2.0 OR MIT" org.opencontainers.image.vendor=c \\
  org.opencontainers.image.base.name=x
# a
ENV APP_A=1
# b
EXPOSE 80
# c
VOLUME /data
USER 65532
ENTRYPOINT ["app"]
"""


def image(text: str) -> images.Image:
    return stages.image_of(dockerfiles.parse(text.encode()), name="Dockerfile")


def told(text: str, contract: promise.Contract | None = None) -> list[str]:
    return [finding.line for finding in checking.check(image(text), contract)]


def contract() -> promise.Contract:
    return drafting.draft(image(WHOLE), "app").contract


def test_a_whole_dockerfile_lacks_nothing() -> None:
    assert told(WHOLE.replace("$R", "abc")) == []


def test_a_label_that_a_build_argument_fills_is_not_empty() -> None:
    assert told(WHOLE.replace("FROM x\n", "FROM x\nARG R\n")) == []


@pytest.mark.parametrize("name", [name for name in checking.LABELS if name != "authors"])
def test_each_label_that_is_missing_is_told(name: str) -> None:
    label = f"org.opencontainers.image.{name}"
    found = told(WHOLE.replace("$R", "abc").replace(label, "com.example.x"))
    assert found == [
        f'Dockerfile:1: label {label} is missing; write LABEL {label}="..." with '
        f"{checking.LABELS[name]}"
    ]


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("LABEL org.opencontainers.image.titel=a", "did you mean org.opencontainers.image.title?"),
        ("LABEL org.opencontainers.iamge.title=a", "did you mean org.opencontainers.image.title?"),
        ("LABEL org.label-schema.vcs-ref=a", "write org.opencontainers.image.revision"),
        ("LABEL maintainer=a", "out of use"),
        ("LABEL 'a b'=c", "is no name"),
        ("LABEL org.opencontainers.image.url=nothing", "write a URL"),
        ("LABEL org.opencontainers.image.created=yesterday", "write a moment"),
        ("LABEL org.opencontainers.image.licenses='Apache, MIT'", "SPDX"),
        ("LABEL org.opencontainers.image.url=", "is empty"),
        ("MAINTAINER me", "MAINTAINER is out of use"),
        ("EXPOSE eighty", 'EXPOSE "eighty" is no port'),
        ("USER app", "is a name"),
        ("ENTRYPOINT run it", "ENTRYPOINT in shell form"),
        ("ENV DB_PASSWORD=a", "DB_PASSWORD seems to be a secret"),
        ("ENV DB_URL=redis://:b@c", "DB_URL seems to be a secret"),
        ("ENV OTHER=a", "OTHER is not explained"),
        ("EXPOSE 81", "port 81 is not explained"),
        ("VOLUME /more", "volume /more is not explained"),
    ],
)
def test_what_makes_an_image_hard_to_rely_on_is_told(line: str, finding: str) -> None:
    found = told(WHOLE.replace("$R", "abc") + line)
    number = WHOLE.count("\n") + 1
    assert any(one.startswith(f"Dockerfile:{number}: ") and finding in one for one in found), found


def test_a_shell_that_is_replaced_is_no_fault() -> None:
    assert told(WHOLE.replace("$R", "abc") + "ENTRYPOINT exec app $APP_A") == []


def test_no_user_is_told() -> None:
    assert "says no USER" in told(WHOLE.replace("$R", "abc").replace("USER 65532\n", ""))[0]


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("ENV APP_A=1", "ENV APP_B=1", "APP_B is not in the contract; did you mean APP_A?"),
        ("ENV APP_A=1", "ENV APP_A=2", 'APP_A is "2" here, and the contract says "1"'),
        ("EXPOSE 80", "EXPOSE 81", "port 81 is not in the contract"),
        ("EXPOSE 80", "EXPOSE 81", "port 80 of the contract is not exposed; write EXPOSE 80"),
        ("VOLUME /data", "VOLUME /db", "volume /db is not in the contract"),
        ("VOLUME /data", "VOLUME /db", "volume /data of the contract is missing"),
        ("USER 65532", "USER 1", 'USER is "1", and the contract says 65532'),
        ("USER 65532", "USER 65532\nSTOPSIGNAL QUIT", "STOPSIGNAL SIGQUIT is not in the contract"),
        ("version=1", "version=2", 'version is "2", and the contract says 1'),
        ("description=b", "description=z", "description differs"),
    ],
)
def test_where_image_and_contract_disagree_is_told(old: str, new: str, finding: str) -> None:
    kept = contract()
    assert not any("contract" in one for one in told(WHOLE, kept))
    assert any(finding in one for one in told(WHOLE.replace(old, new), kept))


def test_a_default_of_what_the_contract_requires_is_told() -> None:
    kept = contract()
    needed = dataclasses.replace(kept.parameters[0], is_required=True, default=None)
    kept = dataclasses.replace(kept, parameters=(needed,))
    assert any("required by the contract" in one for one in told(WHOLE, kept))
