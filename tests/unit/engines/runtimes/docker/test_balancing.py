"""A Service becomes a document of listeners and of the pods that are ready behind each."""

from alongside.engines.pods import runtime
from alongside.engines.runtimes.docker import balancers
from alongside.plan import pods


def test_each_port_is_a_listener_and_backends_are_named_by_their_pods() -> None:
    service = pods.Service("web", (pods.ServicePort(80), pods.ServicePort(81)))
    served = runtime.Served(service, (("10.0.0.1:8000", "10.0.0.9:8000"), ()))
    named = balancers.document(served, 3, lambda host: "web-0" if host == "10.0.0.1" else "")
    assert named["tcp"] == [
        {
            "name": "web:80",
            "backends": [
                {"id": "web-0:8000", "address": "10.0.0.1:8000"},
                {"id": "10.0.0.9:8000", "address": "10.0.0.9:8000"},
            ],
        },
        {"name": "web:81", "backends": []},
    ]


def test_a_headless_service_is_its_ready_pods() -> None:
    ports = (pods.ServicePort(80), pods.ServicePort(81))
    served = [
        runtime.Served(
            pods.Service("db", ports, is_headless=True),
            (("10.0.0.1:80", "10.0.0.2:80"), ("10.0.0.1:81",)),
        ),
        runtime.Served(pods.Service("web", ports), ((), ())),
    ]
    assert balancers.headless(served) == {"db": ("10.0.0.1", "10.0.0.2")}
