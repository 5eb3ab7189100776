"""A log line is one JSON object without secrets and of bounded length."""

import io
import json
from typing import cast

from alongside.base import fake_clock, log


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [cast("dict[str, object]", json.loads(line)) for line in stream.getvalue().splitlines()]


def test_writes_time_level_event_and_fields_in_one_line() -> None:
    stream = io.StringIO()
    log.Log(fake_clock.FakeClock(wall_s=0.25), stream=stream).bind(node="a").info("up", port=1)
    assert lines_of(stream) == [
        {"time": "1970-01-01T00:00:00.250Z", "level": "info", "event": "up", "node": "a", "port": 1}
    ]


def test_masks_secrets_by_name_and_in_urls_at_any_depth() -> None:
    stream = io.StringIO()
    log.Log(fake_clock.FakeClock(), stream=stream).info(
        "x",
        password="hunter2",  # noqa: S106 - the secret to be masked
        origin="http://bob:hunter2@host/",
        nested={"auth_token": "hunter2", "list": ["https://u:hunter2@h"]},
    )
    assert "hunter2" not in stream.getvalue()
    assert "http://bob:***@host/" in stream.getvalue()


def test_leaves_lines_below_the_level_out() -> None:
    stream = io.StringIO()
    quiet = log.Log(fake_clock.FakeClock(), stream=stream, level="warning")
    quiet.debug("a")
    quiet.info("b")
    quiet.warning("c")
    quiet.error("d")
    assert [line["event"] for line in lines_of(stream)] == ["c", "d"]


def test_a_newline_in_a_value_cannot_forge_a_line() -> None:
    stream = io.StringIO()
    log.Log(fake_clock.FakeClock(), stream=stream).info("x", text='a\n{"event":"forged"}')
    assert len(lines_of(stream)) == 1


def test_cuts_long_values() -> None:
    stream = io.StringIO()
    log.Log(fake_clock.FakeClock(), stream=stream).info("x", text="y" * 1_000_000)
    assert len(stream.getvalue()) < 3000


def test_a_closed_stream_does_not_stop_the_work() -> None:
    stream = io.StringIO()
    stream.close()
    log.Log(fake_clock.FakeClock(), stream=stream).info("x")


def test_that_a_secret_is_not_set_is_no_secret() -> None:
    assert log.masked({"password": None, "token": ""}) == {"password": None, "token": log.MASK}
