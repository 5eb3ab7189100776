"""Each entry of a container's output is copied once, also when its stream was cut."""

from alongside.engines.runtimes.docker import output

ONE, TWO = b"2026-01-02T03:04:05.000000001Z ", b"2026-01-02T03:04:05.000000002Z "


def test_what_was_read_before_a_cut_is_not_read_again() -> None:
    position = output.Position()
    entries = [ONE + b"a", TWO + b"b", TWO + b"c"]
    assert [position.content(entry) for entry in entries] == [b"a", b"b", b"c"]
    position.again()  # the engine begins with the last time that was seen
    entries = [TWO + b"b", TWO + b"c", TWO + b"d", b"2026-01-02T03:04:06Z e"]
    assert [position.content(entry) for entry in entries] == [b"", b"", b"d", b"e"]


def test_what_has_no_time_is_copied_as_it_is() -> None:
    assert output.Position().content(b"no time\n") == b"no time\n"


def test_times_are_asked_for_as_engines_read_them() -> None:
    assert output.seconds(b"1970-01-01T00:00:01.5Z") == "1.500000000"
    assert output.seconds(b"1970-01-01T01:00:01+01:00") == "1.000000000"
    assert output.seconds(b"1970-01-01T00:00:01.123456789Z") == "1.123456789"


def test_lines_of_a_terminal_are_found_wherever_the_stream_is_cut() -> None:
    split = output.Lines()
    assert list(split.feed(b"one\r\ntw")) == [b"one\r\n"]
    assert list(split.feed(b"o\n")) == [b"two\n"]
