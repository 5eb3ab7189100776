"""How long a process may take to end comes from its file, and another time restarts nothing."""

from alongside.plan import building, shape, stepping
from alongside.resources import reading, texts

FILE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: photos}
spec: {protocol: http, origin: {url: "http://h:1"}, drainTimeout: DRAIN}
"""


def planned(drain: str) -> shape.Plan:
    text = FILE.replace("DRAIN", drain)
    return building.plan(reading.read([texts.Source("photos.yaml", "/", text)]))


def test_nodes_and_routers_get_their_drain_timeout_and_a_margin() -> None:
    graces_s = {process.name: process.grace_s for process in planned("90s").processes}
    assert graces_s == {"photos-0-0": 95.0, "photos-router-0": 95.0}


def test_another_grace_is_no_other_process() -> None:
    assert planned("1s").processes == planned("1h").processes
    changes = list(stepping.changes(planned("1s"), planned("1h")))
    assert not [one for one in changes if isinstance(one, stepping.Stop | stepping.Start)]
