"""What an engine answers is read without trusting its shape."""

import pytest

from alongside.dockerd import answers


def test_a_refusal_carries_the_engines_words_and_its_status() -> None:
    for content, words in [
        (b'{"message": "no such thing"}', "no such thing"),
        (b"plain\n", "plain"),
        (b"", "status 404"),
    ]:
        with pytest.raises(answers.RefusedError, match=f"^it failed: {words}$") as caught:
            answers.Answer(404, content).checked("it failed")
        assert caught.value.status == 404


def test_values_of_another_shape_are_empty() -> None:
    value = answers.Answer(
        200, b'{"a": {"b": {"c": "d"}}, "n": 1, "l": ["x", 2, {"y": 1}]}'
    ).value()
    assert answers.record(value, "a", "b") == {"c": "d"}
    assert answers.record(value, "a", "n", "b") == {}
    assert answers.text(answers.record(value), "n") == ""
    assert answers.whole(answers.record(value), "a") == 0
    assert answers.texts(answers.record(value), "l") == ("x",)
    assert answers.records(answers.record(value)["l"]) == [{"y": 1}]
    assert answers.Answer(200, b"[" * 100_000).value() is None


def test_an_error_among_json_lines_is_found() -> None:
    assert answers.told(b'{"status": "x"}\nnot json\n{"error": "no room"}\n') == "no room"
    assert answers.told(b'{"status": "x"}\n[]\n') == ""


def test_a_body_that_is_too_long_is_refused_and_not_held() -> None:
    body = answers.Body(200)
    body.take(b"x" * answers.ANSWER_BYTES_MAX)
    with pytest.raises(answers.RefusedError, match="longer than"):
        body.take(b"x")


def test_json_lines_come_in_any_pieces_and_a_long_one_is_passed_over() -> None:
    lines = answers.Lines()
    content = (
        b'{"a": 1}\nnone\n' + b'{"b": "' + b"x" * answers.LINE_BYTES_MAX + b'"}\n{"c": 2}\n{"d"'
    )
    pieces = [content[at : at + 999] for at in range(0, len(content), 999)]
    assert [one for piece in pieces for one in lines.feed(piece)] == [{"a": 1}, {"c": 2}]
    assert list(lines.feed(b": 3}\n")) == [{"d": 3}]
