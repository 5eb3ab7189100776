"""Each kind reads its texts, and answers wrong ones with what to write instead."""

import pytest

from alongside.base import errors
from alongside.contract import kinds, promise

Kind = promise.Kind


def parameter(
    kind: Kind,
    *,
    minimum: str | None = None,
    maximum: str | None = None,
    choices: tuple[str, ...] = (),
) -> promise.Parameter:
    return promise.Parameter(
        name="thing",
        kind=kind,
        description="a thing",
        example="EXAMPLE",
        minimum=minimum,
        maximum=maximum,
        choices=choices,
    )


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.TEXT, 'request.headers["x-user"]', 'request.headers["x-user"]'),
        (Kind.INTEGER, "-5", -5),
        (Kind.BOOLEAN, "true", True),
        (Kind.BOOLEAN, "false", False),
        (Kind.DURATION, "1.5s", 1.5),
        (Kind.SIZE, "64Mi", 64 * 2**20),
        (Kind.ADDRESS, "127.0.0.1:80", "127.0.0.1:80"),
        (Kind.ADDRESS, "[::1]:80", "[::1]:80"),
        (Kind.ADDRESS, "photos-app_1.local:8000", "photos-app_1.local:8000"),
        (Kind.PORT, "8080", 8080),
        (Kind.URL, "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        (Kind.URL, "http://photos", "http://photos:80"),
        (Kind.URL, "https://[::1]/", "https://[::1]:443"),
        (Kind.PATH, "/run/a b.sock", "/run/a b.sock"),
        (Kind.CIDR, "10.0.0.0/8", "10.0.0.0/8"),
        (Kind.CIDR, "10.1.2.3", "10.1.2.3/32"),
        (Kind.CIDR, "FD00::/8", "fd00::/8"),
        (Kind.NODE, "a=127.0.0.1:9001", kinds.Node("a", "127.0.0.1:9001")),
        (Kind.NODE, "a=127.0.0.1:9001:3", kinds.Node("a", "127.0.0.1:9001", 3)),
        (Kind.NODE, "10.0.0.1:80=[::1]:9001:65535", kinds.Node("10.0.0.1:80", "[::1]:9001", 65535)),
        (Kind.NODE, "a=b=photos:80", kinds.Node("a=b", "photos:80")),
    ],
)
def test_reads_a_value(kind: Kind, text: str, value: kinds.Value) -> None:
    assert kinds.read(text, parameter(kind)) == value


@pytest.mark.parametrize(
    ("kind", "text", "remedy"),
    [
        (Kind.TEXT, "", "is empty; write for example EXAMPLE"),
        (Kind.TEXT, "a\nb", "leave them out"),
        (Kind.TEXT, "x" * 1_000_000, "longer than 8192 bytes"),
        (Kind.INTEGER, "1.0", "not a whole number"),
        (Kind.INTEGER, "٣", "not a whole number"),
        (Kind.INTEGER, "9" * 19, "not a whole number"),
        (Kind.BOOLEAN, "yes", "neither true nor false"),
        (Kind.DURATION, "10", "write 10s"),
        (Kind.DURATION, "0.5ms", "write whole milliseconds"),
        (Kind.DURATION, "0", "is zero"),
        (Kind.SIZE, "256m", "write 256Mi or 256M"),
        (Kind.ADDRESS, "8080", 'write "127.0.0.1:8080"'),
        (Kind.ADDRESS, ":8080", "0.0.0.0:8080 for everyone"),
        (Kind.ADDRESS, "::1:80", "[::1]:80"),
        (Kind.ADDRESS, "localhost", 'write "localhost:8080"'),
        (Kind.ADDRESS, "300.1.1.1:80", "no valid host"),
        (Kind.ADDRESS, "127.0.0.1/8:80", "no valid host"),
        (Kind.ADDRESS, "[127.0.0.1]:80", "no valid host"),
        (Kind.ADDRESS, "127.0.0.1:0", "from 1 to 65535"),
        (Kind.ADDRESS, "127.0.0.1:65536", "from 1 to 65535"),
        (Kind.ADDRESS, "127.0.0.1:-1", "from 1 to 65535"),
        (Kind.ADDRESS, "127.0.0.1:80\n", "from 1 to 65535"),
        (Kind.PORT, "65536", "from 1 to 65535"),
        (Kind.URL, "127.0.0.1:8000", "does not begin with http:// or https://"),
        (Kind.URL, "ftp://x", "does not begin with"),
        (Kind.URL, "http://x/path", "has a path"),
        (Kind.URL, "http://x?q", "has a path"),
        (Kind.URL, "http://u:hunter2@x", "leave it out"),
        (Kind.URL, "http://", "has no host"),
        (Kind.PATH, "a\0b", "holds a NUL"),
        (Kind.CIDR, "10.0.0.1/8", "write 10.0.0.0/8"),
        (Kind.CIDR, "10.0.0.0/33", "not a network"),
        (Kind.CIDR, "photos", "not a network"),
        (Kind.NODE, "127.0.0.1:9001", "not ID=HOST:PORT"),
        (Kind.NODE, "=127.0.0.1:9001", "not ID=HOST:PORT"),
        (Kind.NODE, "a b=127.0.0.1:9001", "no node ID"),
        (Kind.NODE, "a=127.0.0.1", "not HOST:PORT"),
        (Kind.NODE, "a=127.0.0.1:9001:0", "weight out of range"),
        (Kind.NODE, "a=127.0.0.1:9001:65536", "weight out of range"),
    ],
)
def test_refuses_a_value_with_what_to_write(kind: Kind, text: str, remedy: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        kinds.read(text, parameter(kind))
    message = str(caught.value)
    assert remedy in message
    assert message.isprintable()
    assert "hunter2" not in message
    assert len(message) < 300


@pytest.mark.parametrize(
    ("kind", "least", "most", "below", "above"),
    [
        (Kind.INTEGER, "1", "64", "0", "65"),
        (Kind.DURATION, "1s", "1m", "999ms", "1m1s"),
        (Kind.SIZE, "1Ki", "1Mi", "1023B", "1025Ki"),
        (Kind.TEXT, "2", "3", "a", "abcd"),
        (Kind.PATH, None, "3", None, "/abc"),
        (Kind.SIZE, "1Mi", None, "1Ki", None),
    ],
)
def test_a_range_is_inclusive_and_shown_in_the_notation_of_the_user(
    kind: Kind, least: str | None, most: str | None, below: str | None, above: str | None
) -> None:
    ranged = parameter(kind, minimum=least, maximum=most)
    for text in filter(None, (below, above)):
        with pytest.raises(errors.UsageError) as caught:
            kinds.read(text, ranged)
        assert ranged.bounds in str(caught.value)
    if kind in {Kind.INTEGER, Kind.DURATION, Kind.SIZE}:
        for text in filter(None, (least, most)):
            kinds.read(text, ranged)


def test_zero_is_a_duration_only_where_the_range_begins_with_it() -> None:
    assert kinds.read("0", parameter(Kind.DURATION, minimum="0")) == 0


def test_port_0_is_an_address_only_where_the_system_may_choose() -> None:
    assert kinds.read("[::]:0", parameter(Kind.ADDRESS, minimum="0")) == "[::]:0"


def test_a_wrong_choice_is_answered_with_the_nearest() -> None:
    function = parameter(Kind.CHOICE, choices=("ketama", "modulo"))
    assert kinds.read("modulo", function) == "modulo"
    with pytest.raises(errors.UsageError, match="did you mean ketama"):
        kinds.read("katama", function)
    with pytest.raises(errors.UsageError, match="ketama, modulo; write one of them"):
        kinds.read("zzz", function)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.URL, "ftp://bob:hunter2@photos:80"),
        (Kind.URL, "HTTP://bob:hunter2@photos"),
        (Kind.URL, "https:/bob:hunter2@photos"),
        (Kind.URL, "http://bob:hunter2@photos/x"),
        (Kind.ADDRESS, "bob:hunter2@photos:80"),
        (Kind.ADDRESS, "bob:hunter2@photos"),
        (Kind.NODE, "bob:hunter2@photos:80"),
        (Kind.CIDR, "bob:hunter2@10.0.0.0/8"),
    ],
)
def test_a_password_before_an_at_sign_is_never_shown(kind: Kind, text: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        kinds.read(text, parameter(kind))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.BOOLEAN, "1", True),
        (Kind.BOOLEAN, "0", False),
        (Kind.BOOLEAN, "true", True),
        (Kind.TEXT, "-----BEGIN\nkey\n", "-----BEGIN\nkey\n"),
        (Kind.URL, "http://a", "http://a:80"),
        (Kind.URL, "https://a/base?x=1", "https://a/base?x=1"),
        (Kind.URL, "http://me:hunter2@[::1]:5/", "http://me:hunter2@[::1]:5/"),
        (Kind.INTEGER, "7", 7),
    ],
)
def test_a_program_that_is_not_ours_may_be_told_more(kind: Kind, text: str, value: object) -> None:
    assert kinds.read_foreign(text, parameter(kind)) == value


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        (Kind.BOOLEAN, "2", "neither true nor false"),
        (Kind.BOOLEAN, "yes", "neither true nor false"),
        (Kind.TEXT, "a\0b", "control characters"),
        (Kind.TEXT, "", "is empty"),
        (Kind.TEXT, "x\n" * 5000, "longer than 8192 bytes"),
        (Kind.URL, "ftp://a/b", "does not begin with http:// or https://"),
        (Kind.URL, "http://me:hunter2@/b", "has no host"),
        (Kind.URL, "http://me:hunter2@a:0/b", "no valid port"),
        (Kind.URL, "http://me:hunter2@a/\n", "holds blanks or control characters"),
        (Kind.URL, "/only/a/path", "does not begin with"),
        (Kind.URL, "http://me:hunter2/s@a/", "in a password write them as %2F"),
        (Kind.URL, "http://me:hunter2#s@a/", "in a password write them as %2F"),
        (Kind.URL, "http://me@b.example:hunter2/s@a/", "in a password write them as %2F"),
        (Kind.URL, f"http://a/{'x' * 9000}", "longer than 8192 bytes"),
    ],
)
def test_what_is_of_no_kind_is_refused_for_every_program(kind: Kind, text: str, told: str) -> None:
    with pytest.raises(errors.UsageError, match=told) as found:
        kinds.read_foreign(text, parameter(kind))
    assert "hunter2" not in str(found.value)


def test_a_url_is_shown_without_who_comes() -> None:
    url = parameter(Kind.URL)
    assert kinds.shown("http://me:hunter2@a:1/b?c@d", url) == "http://***@a:1/b?c@d"
    assert kinds.shown("http://a:1/b@c", url) == "http://a:1/b@c"
