"""Pods and Services are called in every engine as a cluster's DNS calls them."""

from __future__ import annotations

from alongside.engines.pods import dns
from alongside.plan import pods


def test_a_service_answers_to_what_programs_made_for_a_cluster_write_the_whole_name_first() -> None:
    names = ("web.default.svc.cluster.local", "web", "web.default", "web.default.svc")
    assert dns.of_service("web") == names


def test_a_pod_is_named_below_its_headless_service_alone() -> None:
    assert dns.of_pod(pods.Pod("web-0", ())) == ()
    pod = pods.Pod("shop-web-0", (), subdomain="web", names=("web-0.web", "shop-web-0.web"))
    assert dns.of_pod(pod) == (*dns.of_service("shop-web-0.web"), *dns.of_service("web-0.web"))


def test_a_hosts_name_is_one_part_of_a_name_and_no_longer() -> None:
    assert dns.hostname(pods.Pod("web", (), hostname="first")) == "first"
    assert dns.hostname(pods.Pod(f"{'x' * 62}-y", ())) == "x" * 62
