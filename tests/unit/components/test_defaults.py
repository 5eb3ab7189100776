"""What nobody sets is what the data plane does by itself, and what the docs say elsewhere.

The catalogue in Python and the document's types in Rust each say what a limit is without being
told. A flag's default that differed would change what a node does by how it was started.
"""

import pytest

from alongside import document
from alongside.base import environment
from alongside.components.dataplane import documents
from alongside.contract import catalogue, promise, values

ROUTE = ("--listen", "127.0.0.1:0", "--node", "a=127.0.0.1:9001")
CACHE = ("--listen", "127.0.0.1:0", "--origin", "http://photos:8000")
TLS = ("--proxy-port", "8000", "--certificate-path", "/etc/tls")
AMBASSADOR = ("--config", "/etc/nutcracker/nutcracker.yml")
WRAP = ("nginx", "--contract", "web.yaml")

LEAST: dict[str, tuple[str, ...]] = {
    "ambassador": AMBASSADOR,
    "route": ROUTE,
    "cache": CACHE,
    "run": ("--", "true"),
    "tls": TLS,
    "up": ("photos.yaml",),
    "wrap": WRAP,
}


def resolved(component: str, *words: str) -> values.Values:
    return values.gather(catalogue.contract_of(component), words, environment.Environment())


def test_a_router_without_flags_is_the_data_plane_s_own_router() -> None:
    made = documents.of_route(resolved("route", *ROUTE))
    [found] = made.routes
    plain = document.Route(name="route", key="request.uri", function="ketama", shards=found.shards)
    assert found == plain
    assert (made.limits, made.threads) == (document.Limits(), 1)


def test_a_cache_without_flags_is_the_data_plane_s_own_cache() -> None:
    made = documents.of_cache(resolved("cache", *CACHE, "--id", "a", "--sibling", "b=h:1"))
    [found] = made.caches
    assert found.replica is not None
    plain = document.Replica(id="a", siblings=found.replica.siblings)
    assert found.replica == plain
    assert (made.limits, made.threads) == (document.Limits(), 1)


def test_a_cache_takes_as_much_memory_as_one_of_a_file() -> None:
    made = documents.of_cache(resolved("cache", *CACHE))
    assert made.caches[0].memory_bytes == 256 * 2**20


def test_up_waits_and_ends_as_kubernetes_does() -> None:
    usual = resolved("up", "photos.yaml")
    assert usual.duration_s("ready_timeout") == 60
    assert usual.duration_s("stop_timeout") == 30
    assert (usual.is_on("detach"), usual.is_on("json")) == (False, False)


def test_components_beside_a_program_have_ten_seconds_to_end() -> None:
    assert resolved("run", *LEAST["run"]).duration_s("stop_timeout") == 10


def test_the_console_is_on_this_machine_alone() -> None:
    assert resolved("up", "photos.yaml").text("console") == "127.0.0.1:0"


def test_templates_have_ten_seconds() -> None:
    assert resolved("wrap", *WRAP).duration_s("template_timeout") == 10


def defaults() -> list[tuple[str, promise.Parameter]]:
    contracts = [catalogue.contract_of(name) for name in catalogue.NAMES]
    return [
        (contract.component, parameter)
        for contract in contracts
        for parameter in contract.parameters
        if parameter.default is not None
    ]


@pytest.mark.parametrize(("component", "parameter"), defaults(), ids=str)
def test_a_default_may_be_written_out_and_means_the_same(
    component: str, parameter: promise.Parameter
) -> None:
    least = LEAST[component]
    silent = resolved(component, *least)
    told = resolved(component, f"{parameter.flag}={parameter.default}", *least)
    assert silent.shown() == told.shown()
