"""What a contract's file still lacks is told with its line."""

from __future__ import annotations

import pytest

from alongside.base import errors
from alongside.contract.drafting import completing

WHOLE = """contract: 1
component: app
summary: an app
promise: it works
parameters:
  - name: port
    type: port
    description: the port
    example: "80"
    default: "80"
ports:
  - {name: http, parameter: port, protocol: HTTP, description: all of it, number: 80}
signals:
  - {name: SIGTERM, effect: ends it}
exits:
  - {code: 1, meaning: it failed}
volumes:
  - {path: /data, description: everything}
"""


def told(text: str) -> list[str]:
    return [finding.line for finding in completing.check(text, "app.yaml")[1]]


def test_a_whole_contract_lacks_nothing() -> None:
    assert told(WHOLE) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("summary: an app", 'summary: ""', "app.yaml:3: summary is empty"),
        ("promise: it works", 'promise: ""', "app.yaml:4: promise is empty"),
        ("description: the port", 'description: ""', "app.yaml:8: APP_PORT: is not described"),
        ('example: "80"', 'example: "x"', "app.yaml:9: APP_PORT: example:"),
        ('    default: "80"\n', "", "app.yaml:6: APP_PORT: is neither required nor"),
        ('default: "80"', 'default: "80"\n    required: true', "required and has a default"),
        ("parameter: port", "parameter: prot", "app.yaml:12: port http: prot is no parameter"),
        ("effect: ends it", 'effect: ""', "app.yaml:14: SIGTERM: has no effect"),
        ("meaning: it failed", 'meaning: ""', "app.yaml:16: exit code 1: has no meaning"),
        ("description: everything", 'description: ""', "app.yaml:18: volume /data: is not"),
        ("volumes:", "questions: [why]\nvolumes:", "app.yaml:17: is not answered: why"),
    ],
)
def test_what_is_missing_is_told_with_its_line(old: str, new: str, finding: str) -> None:
    assert any(finding in one for one in told(WHOLE.replace(old, new))), told(
        WHOLE.replace(old, new)
    )


def test_what_is_no_contract_is_refused() -> None:
    with pytest.raises(errors.UsageError):
        completing.check("contract: 1\nparameters: 5", "app.yaml")


@pytest.mark.parametrize("new", ['default: "0"', 'default: "80"\n    secret: true'])
def test_a_default_that_nobody_may_use_is_refused_at_once(new: str) -> None:
    with pytest.raises(errors.UsageError, match=r'parameters\["port"\].default: '):
        completing.check(WHOLE.replace('default: "80"', new), "app.yaml")
