"""Parameters resolve by flag over environment over default, with every mistake at once."""

import pytest

from alongside.base import environment, errors
from alongside.contract import flags, kinds, promise, values

Kind = promise.Kind


def parameter(name: str, kind: Kind, example: str, **rest: object) -> promise.Parameter:
    plain = promise.Parameter(name=name, kind=kind, description="a thing", example=example)
    import dataclasses  # noqa: PLC0415

    return dataclasses.replace(plain, **rest)  # type: ignore[arg-type]


CONTRACT = promise.Contract(
    component="route",
    summary="Show",
    promise="Nothing",
    parameters=(
        parameter("listen", Kind.ADDRESS, "127.0.0.1:80", is_required=True),
        parameter("node", Kind.NODE, "a=b:1", is_repeated=True),
        parameter("memory", Kind.SIZE, "64Mi", default="256Mi", minimum="1Mi"),
        parameter("wait", Kind.DURATION, "1s", default="1m30s"),
        parameter("threads", Kind.INTEGER, "1", unset="one"),
        parameter("detach", Kind.BOOLEAN, "true", default="false"),
        parameter("password", Kind.TEXT, "x", is_secret=True),
        parameter("port", Kind.PORT, "80"),
    ),
)


def resolve(words: str = "--listen 127.0.0.1:80", **variables: str) -> values.Values:
    read = flags.read(CONTRACT, words.split())
    return values.resolve(CONTRACT, read, environment.Environment(variables))


def problems(words: str = "--listen 127.0.0.1:80", **variables: str) -> tuple[str, ...]:
    with pytest.raises(errors.UsageError) as caught:
        resolve(words, **variables)
    return caught.value.problems


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_default() -> None:
    both = resolve("--listen a:1 --memory 1Mi", ROUTE_MEMORY="2Mi")
    assert (both.size_bytes("memory"), both.source("memory")) == (2**20, "flag")
    one = resolve(ROUTE_MEMORY="2Mi")
    assert (one.size_bytes("memory"), one.source("memory")) == (2 * 2**20, "environment")
    none = resolve()
    assert (none.size_bytes("memory"), none.source("memory")) == (256 * 2**20, "default")
    assert not none.is_set("threads")
    assert none.source("threads") == "unset"


def test_a_wrong_variable_is_no_mistake_where_a_flag_wins() -> None:
    assert resolve("--listen a:1 --memory 1Mi", ROUTE_MEMORY="x").size_bytes("memory") == 2**20


def test_values_come_with_their_types() -> None:
    resolved = resolve("--listen a:1 --node x=b:1 --node y=c:2:3 --detach --threads 4")
    assert resolved.text("listen") == "a:1"
    assert resolved.nodes("node") == (kinds.Node("x", "b:1"), kinds.Node("y", "c:2", 3))
    assert resolved.duration_s("wait") == 90
    assert resolved.integer("threads") == 4
    assert resolved.is_on("detach")


def test_a_repeated_variable_is_split_at_blanks_and_commas() -> None:
    resolved = resolve(ROUTE_NODE=" x=b:1, y=c:2\tz=d:3 ")
    assert [node.id for node in resolved.nodes("node")] == ["x", "y", "z"]


def test_reports_every_mistake_at_once_with_its_place() -> None:
    found = problems("--memry 1 --memory 64m --node x --node y", ROUTE_WAIT="10", ROUTE_THREDS="1")
    assert [problem.partition(": ")[0] for problem in found] == [
        '"--memry"',
        "--listen",
        "--node",
        "--node",
        "--memory",
        "ROUTE_WAIT",
        '"ROUTE_THREDS"',
    ]
    assert found[1].endswith("write --listen 127.0.0.1:80 or set ROUTE_LISTEN")
    assert "did you mean ROUTE_THREADS?" in found[-1]


def test_a_parameter_given_twice_is_a_mistake_unless_it_repeats() -> None:
    assert problems("--listen a:1 --listen a:1") == ("--listen: is given 2 times; write it once",)
    assert problems("--listen a:1 --node x=b:1 --node x=c:1") == (
        '--node: "x" is given twice; write it once',
    )


def test_an_empty_variable_is_a_mistake() -> None:
    assert problems(ROUTE_MEMORY="") == ("ROUTE_MEMORY: is empty; write for example 64Mi",)
    assert problems(ROUTE_NODE=" ") == ("ROUTE_NODE: is empty; write for example a=b:1",)


def test_a_variable_without_a_near_name_is_to_be_unset() -> None:
    assert problems(ROUTE_QQQQQQQQQQQQQQ="") == (
        '"ROUTE_QQQQQQQQQQQQQQ": is no variable of route; unset it',
    )


def test_other_prefixes_are_not_ours() -> None:
    resolve(ROUTER_X="1", ROUT_X="1", route_x="1", CACHE_X="1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT", "80"),
        ("SERVICE_PORT_HTTP", "80"),
        ("PORT", "tcp://10.0.0.1:80"),
        ("PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("PORT_80_TCP_PROTO", "tcp"),
        ("PORT_80_TCP_PORT", "80"),
        ("PORT_80_UDP_ADDR", "10.0.0.1"),
        ("BLUE_SERVICE_HOST", "10.0.0.1"),
        ("BLUE_SERVICE_PORT_HTTP", "80"),
        ("BLUE_PORT", "udp://10.0.0.1:80"),
        ("BLUE_PORT_80_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_skips_what_kubernetes_sets_for_a_service_named_like_us(name: str, value: str) -> None:
    resolve(**{f"ROUTE_{name}": value})


def test_a_parameter_named_port_is_read_unless_kubernetes_set_it() -> None:
    assert resolve(ROUTE_PORT="81").integer("port") == 81
    assert not resolve(ROUTE_PORT="tcp://10.0.0.1:80").is_set("port")


def test_other_names_that_end_in_port_are_still_refused() -> None:
    assert len(problems(ROUTE_BLUE_PORT="80")) == 1


def test_effective_values_carry_units_and_hide_secrets() -> None:
    shown = resolve("--listen a:1 --node x=b:1 --password hunter2", ROUTE_MEMORY="1024Ki")
    assert shown.effective() == {
        "listen": "a:1",
        "node": ["x=b:1"],
        "memory": "1Mi",
        "wait": "1m30s",
        "threads": None,
        "detach": "false",
        "password": "***",
        "port": None,
    }


def test_asking_for_a_wrong_name_or_type_is_a_mistake_of_the_code() -> None:
    with pytest.raises(KeyError):
        resolve().text("nothing")
    with pytest.raises(TypeError):
        resolve().text("memory")
    with pytest.raises(TypeError):
        resolve().integer("threads")
