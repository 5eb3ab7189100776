"""Every kind reads back what it shows, and answers any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alongside.base import errors
from alongside.contract import flags, kinds, promise
from alongside.contract.catalogue import route

_NODE_ID = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)
_HOST = st.sampled_from(["127.0.0.1", "[::1]", "photos.internal", "a_b-c"])


@pytest.mark.parametrize("kind", promise.Kind)
@given(text=st.text(max_size=60))
def test_answers_any_text_with_a_value_or_a_usage_error(kind: promise.Kind, text: str) -> None:
    asked = promise.Parameter(
        name="thing",
        kind=kind,
        description="a thing",
        example="EXAMPLE",
        choices=("http", "https") if kind is promise.Kind.URL else ("a", "b"),
    )
    try:
        value = kinds.read(text, asked)
    except errors.UsageError as error:
        assert str(error).isprintable()  # noqa: PT017 - both outcomes are right
    else:
        assert kinds.read(kinds.shown(value, asked), asked) == value


@given(
    node_id=_NODE_ID,
    host=_HOST,
    port=st.integers(1, 65535),
    weight=st.integers(1, kinds.WEIGHT_MAX),
)
def test_a_node_is_read_back_whatever_its_id_holds(
    node_id: str, host: str, port: int, weight: int
) -> None:
    node = kinds.Node(node_id, f"{host}:{port}", weight)
    asked = route.CONTRACT.parameter("node")
    assert kinds.read(kinds.shown(node, asked), asked) == node


@given(words=st.lists(st.text(max_size=20) | st.sampled_from(["--listen", "--node", "--", "-"])))
def test_any_command_line_is_read_without_an_error(words: list[str]) -> None:
    read = flags.read(route.CONTRACT, words)
    assert all(problem.isprintable() for problem in read.problems)


@given(
    kind=st.sampled_from([promise.Kind.URL, promise.Kind.ADDRESS, promise.Kind.CIDR]),
    before=st.sampled_from(["", "http://", "HTTP://", "ftp://", "https:/", "//"]),
    after=st.text(max_size=40),
)
def test_no_mistake_shows_what_stands_before_an_at_sign(
    kind: promise.Kind, before: str, after: str
) -> None:
    parameter = promise.Parameter(name="x", kind=kind, description="", example="EXAMPLE")
    with pytest.raises(errors.UsageError) as caught:
        kinds.read(f"{before}bob:hunter2@{after}", parameter)
    assert "hunter2" not in str(caught.value)
