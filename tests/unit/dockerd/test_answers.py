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
