"""Parameters resolve by flag over environment over default, with every mistake at once."""

import pathlib

import pytest

from alongside.base import environment, errors
from alongside.contract import flags, kinds, promise, values

Kind = promise.Kind


def parameter(name: str, kind: Kind, example: str, **rest: object) -> promise.Parameter:
    plain = promise.Parameter(name=name, kind=kind, description="a thing", example=example)
    import dataclasses  # noqa: PLC0415

    return dataclasses.replace(plain, **rest)  # type: ignore[arg-type]


GOES = promise.Deprecation(since="1.1", until="2.0", instead="--period")
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
        parameter("tokens", Kind.TEXT, "x", is_secret=True, is_repeated=True),
        parameter("blue_service_host", Kind.TEXT, "x", own_flag=""),
        parameter(
            "period",
            Kind.DURATION,
            "10s",
            aliases=(
                promise.Alias(name="--wait-seconds", unit="s", deprecated=GOES),
                promise.Alias(name="UPDATE_FREQUENCY", unit="s"),
                promise.Alias(name="PROXY_PORT"),
            ),
        ),
        promise.PARAMETERS_FILE,
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


def test_a_wrong_value_is_a_mistake_also_where_a_stronger_source_says_another() -> None:
    [problem] = problems("--listen a:1 --memory 1Mi", ROUTE_MEMORY="64")
    assert problem.startswith('ROUTE_MEMORY: "64" is not a size')
    assert problems("--listen a:1 --period 1s", ROUTE_PERIOD="1s", UPDATE_FREQUENCY="9") == (
        "ROUTE_PERIOD and UPDATE_FREQUENCY: are one parameter; keep ROUTE_PERIOD alone",
    )
    assert [one.partition(":")[0] for one in problems("--memory 64m", ROUTE_MEMORY="64")] == [
        "--listen",
        "--memory",
        "ROUTE_MEMORY",
    ]


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
        ("GREEN_SERVICE_HOST", "10.0.0.1"),
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


def test_a_declared_name_is_read_though_kubernetes_has_names_like_it() -> None:
    assert resolve(ROUTE_BLUE_SERVICE_HOST="h").text("blue_service_host") == "h"


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
        "tokens": [],
        "blue_service_host": None,
        "period": None,
        "parameters": None,
    }


def test_asking_for_a_wrong_name_or_type_is_a_mistake_of_the_code() -> None:
    with pytest.raises(KeyError):
        resolve().text("nothing")
    with pytest.raises(TypeError):
        resolve().text("memory")
    with pytest.raises(TypeError):
        resolve().integer("threads")


def test_an_old_name_keeps_the_unit_that_its_bare_number_had() -> None:
    assert resolve("--listen a:1 --wait-seconds 90").duration_s("period") == 90
    assert resolve(UPDATE_FREQUENCY="90").duration_s("period") == 90
    assert resolve(UPDATE_FREQUENCY="90").place("period") == "UPDATE_FREQUENCY"
    assert "it has no unit" in problems("--listen a:1 --period 90")[0]


def test_two_names_of_one_parameter_are_a_mistake_even_where_they_agree() -> None:
    assert problems("--listen a:1 --period 10s --wait-seconds 10") == (
        "--period and --wait-seconds: are one parameter; keep --period alone",
    )
    assert problems(ROUTE_PERIOD="10s", UPDATE_FREQUENCY="10") == (
        "ROUTE_PERIOD and UPDATE_FREQUENCY: are one parameter; keep ROUTE_PERIOD alone",
    )


def test_a_flag_wins_over_the_variable_of_an_old_name() -> None:
    assert resolve("--listen a:1 --period 1s", UPDATE_FREQUENCY="9").duration_s("period") == 1


def test_the_use_of_a_name_that_goes_is_said_with_what_to_write_instead() -> None:
    assert resolve("--listen a:1 --wait-seconds 9").warnings() == (
        "--wait-seconds: goes with version 2.0; write --period instead",
    )
    assert resolve("--listen a:1 --period 9s").warnings() == ()


def test_a_short_name_that_kubernetes_injects_for_a_service_is_not_ours() -> None:
    assert not resolve(PROXY_PORT="tcp://10.0.0.1:80").is_set("period")
    assert problems(PROXY_PORT="80")[0].startswith("PROXY_PORT: ")


def test_the_value_of_a_secret_is_never_shown_not_even_a_wrong_one() -> None:
    [problem] = problems("--listen a:1", ROUTE_PASSWORD="hunter2\x07")  # noqa: S106 - the test's own
    assert "hunter2" not in problem
    assert problem.startswith("ROUTE_PASSWORD: is not of its kind")
    shown = resolve("--listen a:1 --password hunter2").effective()
    assert "hunter2" not in str(shown)


def test_a_secret_that_is_given_twice_is_not_shown() -> None:
    assert problems("--listen a:1 --tokens hunter2 --tokens hunter2") == (
        "--tokens: a value is given twice; write it once",
    )


@pytest.mark.parametrize(
    "text",
    [
        "listen: a:1\npassword: 'hunter2\n",
        "password: *hunter2\n",
        "password: hunter2: x\n",
        "password: !hunter2!x y\n",
        "password: hunter2\x07\n",
        "password: {hunter2\n",
    ],
)
def test_a_file_that_is_no_yaml_is_told_of_by_line_not_by_content(
    text: str, tmp_path: pathlib.Path
) -> None:
    [problem] = file_problems(tmp_path, text, "--listen a:1")
    assert "is no YAML" in problem
    assert " in line " in problem or "character 18 is none" in problem
    assert "hunter2" not in problem


def test_a_name_of_a_file_is_shown_in_one_short_line(tmp_path: pathlib.Path) -> None:
    for name in ('"a\\nb"', "a" * 900, '""'):
        [problem] = file_problems(tmp_path, f"{name}: 1\n", "--listen a:1")
        assert problem.isprintable()
        assert len(problem) < 200


def gather(folder: pathlib.Path, text: str, words: str = "", **variables: str) -> values.Values:
    path = folder / "route.yaml"
    path.write_text(text)
    everything = [*words.split(), "--parameters", str(path)]
    return values.gather(CONTRACT, everything, environment.Environment(variables))


def file_problems(folder: pathlib.Path, text: str, words: str = "") -> tuple[str, ...]:
    with pytest.raises(errors.UsageError) as caught:
        gather(folder, text, words)
    return caught.value.problems


def test_a_file_wins_over_the_default_and_loses_to_variables_and_flags(
    tmp_path: pathlib.Path,
) -> None:
    text = "listen: a:1\nmemory: 2Mi\nthreads: 3\nnode: [x=b:1, y=c:1]\ndetach: true\n"
    alone = gather(tmp_path, text)
    assert (alone.size_bytes("memory"), alone.source("memory")) == (2 * 2**20, "file")
    assert alone.place("memory") == "route.yaml:2: memory"
    assert alone.integer("threads") == 3
    assert [node.id for node in alone.nodes("node")] == ["x", "y"]
    assert alone.is_on("detach")
    assert gather(tmp_path, text, ROUTE_MEMORY="3Mi").source("memory") == "environment"
    assert gather(tmp_path, text, "--memory 4Mi").source("memory") == "flag"


def test_the_file_may_be_named_by_a_variable(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("listen: a:1")
    variables = environment.Environment({"ROUTE_PARAMETERS": str(path)})
    assert values.gather(CONTRACT, [], variables).text("listen") == "a:1"


def test_every_mistake_of_a_file_is_reported_with_its_line(tmp_path: pathlib.Path) -> None:
    text = (
        "memry: 1Mi\nwait: 10\nmemory: 1Mi\nmemory: 2Mi\nnode: {a: b}\nthreads:\n"
        "parameters: x\nfalse: 1\nwait-seconds: 3\n"
    )
    found = file_problems(tmp_path, text, "--listen a:1")
    assert [problem.partition(";")[0] for problem in found] == [
        "route.yaml:1: memry: is no parameter of route",
        "route.yaml:4: memory: is set above already",
        "route.yaml:5: node: is neither a text nor a list of texts",
        "route.yaml:7: parameters: is no parameter of route",
        "route.yaml:8: false: is no parameter of route",
        'route.yaml:2: wait: "10" is not a duration: it has no unit',
        "route.yaml:6: threads: is empty",
    ]


def test_a_file_that_is_missing_or_no_mapping_is_one_mistake(tmp_path: pathlib.Path) -> None:
    for text, wanted in (
        ("- a", "holds no names"),
        ("{", "is no YAML"),
        ("a: " + "[" * 5000, "is no YAML"),
        ("x" * (2**20 + 1), "larger than"),
    ):
        [problem] = file_problems(tmp_path, text, "--listen a:1")
        assert problem.startswith("--parameters: ")
        assert wanted in problem
    with pytest.raises(errors.UsageError, match="does not exist"):
        values.gather(
            CONTRACT,
            ["--listen", "a:1", "--parameters", str(tmp_path / "none")],
            environment.Environment(),
        )
