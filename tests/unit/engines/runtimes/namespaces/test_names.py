"""What a pod's /etc/hosts says, and how it is written."""

from __future__ import annotations

from alongside.engines.pods import runtime
from alongside.engines.runtimes.namespaces import names
from alongside.plan import pods

SERVICE = pods.Service("web", (pods.ServicePort(80),))
HEADLESS = pods.Service("cache", (pods.ServicePort(11211), pods.ServicePort(9)), is_headless=True)


def placed(name: str, address: str, **more: str) -> names.Placed:
    return names.Placed(pods.Pod(name, (), **more), address)  # type: ignore[arg-type]


def addresses_of(content: str, name: str) -> list[str]:
    lines = [line.split() for line in content.splitlines()]
    return [words[0] for words in lines if name in words[1:]]


def test_names_the_pod_itself_and_localhost() -> None:
    content = names.hosts(placed("a", "10.1.1.1", hostname="h"), [], [], {})
    assert addresses_of(content, "localhost") == ["127.0.0.1", "::1"]
    assert addresses_of(content, "h") == ["10.1.1.1"]
    assert addresses_of(content, "a") == []


def test_names_services_by_their_own_address_and_headless_ones_by_their_ready_pods() -> None:
    served = [
        runtime.Served(SERVICE, (("10.1.1.7:8000",),)),
        runtime.Served(HEADLESS, (("10.1.1.5:11211", "10.1.1.6:11211"), ("10.1.1.5:9",))),
    ]
    content = names.hosts(placed("a", "10.1.1.1"), [], served, {"web": "10.1.128.1"})
    assert addresses_of(content, "web") == ["10.1.128.1"]
    assert addresses_of(content, "web.default.svc.cluster.local") == ["10.1.128.1"]
    assert addresses_of(content, "cache") == ["10.1.1.5", "10.1.1.6"]


def test_a_headless_service_without_ports_is_all_its_pods() -> None:
    service = pods.Service("quiet", (), is_headless=True)
    others = [placed("b", "10.1.1.2", subdomain="quiet"), placed("c", "10.1.1.3")]
    content = names.hosts(placed("a", "10.1.1.1"), others, [runtime.Served(service, ())], {})
    assert addresses_of(content, "quiet") == ["10.1.1.2"]


def test_pods_of_a_stateful_set_answer_to_the_short_name_too() -> None:
    pod = pods.Pod("sharded-memcache-2", (), subdomain="memcache", names=("memcache-2.memcache",))
    one = names.Placed(pod, "10.1.1.4")
    content = names.hosts(placed("a", "10.1.1.1"), [one], [], {})
    for name in (
        "sharded-memcache-2.memcache",
        "sharded-memcache-2.memcache.default.svc.cluster.local",
        "memcache-2.memcache",
    ):
        assert addresses_of(content, name) == ["10.1.1.4"], name


def test_on_the_hosts_network_a_service_is_known_where_its_number_is_the_same() -> None:
    served = [runtime.Served(SERVICE, ((),))]
    here = placed("a", "127.0.0.1")
    content = names.hosts_of_machine(here, "1.2.3.4 x\n", served, {"web:80": "127.0.0.1:80"})
    assert addresses_of(content, "web") == ["127.0.0.1"]
    assert addresses_of(content, "x") == ["1.2.3.4"]
    content = names.hosts_of_machine(here, "", served, {"web:80": "127.0.0.1:4711"})
    assert addresses_of(content, "web") == []
