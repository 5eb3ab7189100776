"""Where all pods are on one network, no two may need one address."""

from __future__ import annotations

import pytest

from alongside.plan import collisions
from alongside.resources import problems


def claim(
    owner: str, unit: str = "", *, port: int = 80, host: str = "127.0.0.1", is_pod: bool = True
) -> collisions.Claim:
    place = problems.Problem("f.yaml", len(owner), owner, "spec.port", "")
    return collisions.Claim(host, port, owner, unit or owner, place, is_pod)


ROOM = "add --engine namespaces or docker, where each pod has a network of its own"


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([claim("Pod/a"), claim("Pod/bc", port=81)], []),
        ([claim("Pod/a"), claim("Pod/bc", host="127.64.0.1")], []),
        ([claim("Pod/a"), claim("Pod/a")], []),
        (
            [claim("Pod/a"), claim("Pod/bc")],
            [
                "f.yaml:6: Pod/bc: spec.port: port 80 of this machine is also used by Pod/a "
                f"(f.yaml:5); give one of the two another port, or {ROOM}"
            ],
        ),
        (
            [claim("Pod/a", host="0.0.0.0"), claim("Pod/bc")],  # noqa: S104 - compared
            [
                "f.yaml:6: Pod/bc: spec.port: port 80 of this machine is also used by Pod/a "
                f"(f.yaml:5); give one of the two another port, or {ROOM}"
            ],
        ),
        (
            [claim("ShardedCache/a", is_pod=False), claim("ShardedCache/bc", is_pod=False)],
            [
                "f.yaml:15: ShardedCache/bc: spec.port: port 80 of this machine is also used by "
                "ShardedCache/a; give one of the two another port"
            ],
        ),
        (
            [claim("Set/a", "a-0"), claim("Set/a", "a-1"), claim("Set/a", "a-2")],
            [
                "f.yaml:5: Set/a: spec.port: port 80 of 127.0.0.1 is needed by each of its pods, "
                f"a-0, a-1 and 1 more; {ROOM}, or write replicas: 1"
            ],
        ),
    ],
)
def test_names_both_owners_and_what_to_do(
    claims: list[collisions.Claim], expected: list[str]
) -> None:
    assert [str(one) for one in collisions.find(claims)] == expected
