"""The words of a command line are read by the contract, and every mistake is kept."""

from alongside.contract import flags, promise

CONTRACT = promise.Contract(
    component="demo",
    summary="Show",
    promise="Nothing",
    parameters=(
        promise.Parameter(
            name="file",
            kind=promise.Kind.PATH,
            description="a file",
            example="a.yaml",
            is_argument=True,
            is_repeated=True,
        ),
        promise.Parameter(
            name="head_max", kind=promise.Kind.SIZE, description="a size", example="1Ki"
        ),
        promise.Parameter(
            name="detach", kind=promise.Kind.BOOLEAN, description="a switch", example="true"
        ),
    ),
)


def check(words: str, texts: dict[str, list[str]], *problems: str) -> None:
    read = flags.read(CONTRACT, words.split())
    assert read.texts == texts
    assert len(read.problems) == len(problems)
    for problem, wanted in zip(read.problems, problems, strict=True):
        assert wanted in problem


def test_takes_values_after_a_blank_or_an_equals_sign() -> None:
    check("--head-max 1Ki", {"--head-max": ["1Ki"]})
    check("--head-max=1Ki", {"--head-max": ["1Ki"]})
    check("--head-max=", {"--head-max": [""]})
    check("--head-max -1Ki", {"--head-max": ["-1Ki"]})


def test_a_switch_takes_no_value_but_may_have_one_after_an_equals_sign() -> None:
    check("--detach x", {"--detach": ["true"], "FILE": ["x"]})
    check("--detach=false", {"--detach": ["false"]})


def test_keeps_every_repetition_in_order() -> None:
    check("--head-max 1Ki --head-max 2Ki", {"--head-max": ["1Ki", "2Ki"]})


def test_every_word_after_two_dashes_is_an_argument() -> None:
    check("a -- --detach -- b", {"FILE": ["a", "--detach", "--", "b"]})


def test_a_single_dash_is_an_argument() -> None:
    check("-", {"FILE": ["-"]})


def test_names_what_a_misspelt_flag_may_have_been_and_drops_its_value() -> None:
    check("--head-mx 1Ki a", {"FILE": ["a"]}, "did you mean --head-max?")
    check("--zzz=1 a", {"FILE": ["a"]}, "leave it out")


def test_what_follows_a_misspelt_flag_is_not_shown() -> None:
    for words in ("--passwrd hunter2", "--passwrd -hunter2", "--passwrd=hunter2"):
        read = flags.read(CONTRACT, words.split())
        assert read.problems == ('"--passwrd": is no flag of demo; leave it out',)
    long = flags.read(CONTRACT, ["--" + "x" * 9999])
    assert len(long.problems[0]) < 200


def test_a_flag_is_not_abbreviated() -> None:
    check("--head=1Ki", {}, '"--head": is no flag of demo')


def test_a_flag_at_the_end_or_before_another_lacks_its_value() -> None:
    check("--head-max", {"--head-max": []}, "--head-max: has no value; write --head-max 1Ki")
    check("--head-max --detach", {"--head-max": [], "--detach": ["true"]}, "has no value")


def test_without_arguments_in_the_contract_a_stray_word_is_a_mistake() -> None:
    contract = promise.Contract(component="x", summary="", promise="", parameters=())
    assert "not expected" in flags.read(contract, ["stray"]).problems[0]
