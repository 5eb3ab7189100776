"""What pods promise, one behaviour each, by subject.

In:    nothing.
Out:   `ALL`: the behaviours, in the order of their phases.
Not:   how a pod is run.
Next:  test_conformance.py.
"""

from __future__ import annotations

from tests.conformance import world
from tests.conformance.behaviours import (
    configuration,
    ending,
    killing,
    order,
    probes,
    restarts,
    services,
    sharing,
    volumes,
    workloads,
)

_SUBJECTS = (
    killing,
    order,
    probes,
    restarts,
    sharing,
    volumes,
    configuration,
    services,
    workloads,
    ending,
)
ALL: tuple[world.Behaviour, ...] = tuple(
    sorted(
        (one for subject in _SUBJECTS for one in subject.BEHAVIOURS),
        key=lambda one: world.PHASES.index(one.phase),
    )
)
