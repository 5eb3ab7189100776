"""Dockerfiles are read as a builder reads them: lines, words, comments, here documents."""

from __future__ import annotations

import pytest

from alongside.contract.drafting import dockerfiles


def parsed(text: str) -> tuple[dockerfiles.Instruction, ...]:
    found = dockerfiles.parse(text.encode())
    assert found.problems == ()
    return found.instructions


def problems(text: str) -> list[str]:
    return [f"{one.line}: {one.text}" for one in dockerfiles.parse(text.encode()).problems]


def test_lines_are_joined_and_comments_between_them_left_out() -> None:
    _, run, last = parsed("FROM a\nRUN one \\\n# no\n\n  two \\  \n three\nUSER 1\n")
    assert (run.line, run.text) == (2, "one   two  three")
    assert (last.word, last.line) == ("USER", 7)


def test_an_escape_before_an_escape_continues_nothing() -> None:
    assert [one.word for one in parsed("FROM a\nRUN echo \\\\\nUSER 1")] == ["FROM", "RUN", "USER"]


def test_the_escape_directive_counts_above_everything_else_only() -> None:
    first = parsed("# escape=`\nFROM a\nRUN dir C:\\\nRUN one `\n  two\n")
    assert [one.text for one in first[1:]] == ["dir C:\\", "one   two"]
    late = parsed("# about it\n# escape=`\nFROM a\nRUN a `\n")
    assert late[-1].text == "a `"


def test_each_variable_has_the_comment_above_its_own_line() -> None:
    env = parsed("FROM a\n# first\nENV A=1 \\\n    # second\n    B=2 \\\n    C=3\n")[1]
    told = [
        (env.piece(env.text.index(n)).line, env.piece(env.text.index(n)).comment) for n in "ABC"
    ]
    assert told == [(3, "first"), (5, "second"), (6, "")]


def test_an_empty_line_parts_a_comment_from_what_follows() -> None:
    assert parsed("FROM a\n# a licence\n\nUSER 1")[1].comment == ""


@pytest.mark.parametrize(
    "comment",
    ["hadolint ignore=DL3008", "shellcheck disable=SC1", "RUN make", "ENV A=b", "-----", "TODO it"],
)
def test_marks_of_tools_and_what_is_commented_out_describe_nothing(comment: str) -> None:
    assert parsed(f"FROM a\n# {comment}\nENV A=1")[1].comment == ""


def test_here_documents_are_files_of_their_own() -> None:
    text = (
        'FROM a\nCOPY <<one <<-"two" /x/\nA=$A\none\n\tB\n\ttwo\nRUN <<EOF\nUSER 0\nEOF\nUSER 1\n'
    )
    _, copy, run, user = parsed(text)
    assert [(h.name, h.content, h.line) for h in copy.heredocs] == [
        ("one", "A=$A", 3),
        ("two", "B", 5),
    ]
    assert run.heredocs[0].content == "USER 0"
    assert user.line == 10


def test_what_only_looks_like_a_here_document_is_none() -> None:
    words = [one.word for one in parsed("FROM a\nRUN cat <<< b\nRUN cat << EOF\nRUN echo '<<E'\n")]
    assert words == ["FROM", "RUN", "RUN", "RUN"]


def test_flags_and_json_forms_are_told_from_the_rest() -> None:
    _, copy, cmd, shell = parsed(
        'FROM a\nCOPY --from=b --chmod=1 x /y\nCMD ["a", "b c"]\nRUN [x]\n'
    )
    assert (copy.flags, copy.text) == ({"from": "b", "chmod": "1"}, "x /y")
    assert cmd.json() == ("a", "b c")
    assert shell.json() is None


def test_a_json_form_that_is_nested_too_deeply_is_none() -> None:
    assert parsed("FROM a\nCMD " + "[" * 100_000)[1].json() is None


def test_a_trigger_is_an_instruction_of_its_own() -> None:
    inner = dockerfiles.trigger(parsed("FROM a\nONBUILD ENV A=1 B=2")[1])
    assert inner is not None
    assert (inner.word, inner.text) == ("ENV", "A=1 B=2")


def test_marks_of_other_systems_are_read_over() -> None:
    assert [one.text for one in parsed("\ufeffFROM a\r\nUSER 1\r\n")] == ["a", "1"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1: holds no FROM"),
        ("FROM a\nEXPOES 80", '2: "EXPOES" is no instruction; did you mean EXPOSE?'),
        ("FROM a\nRUN <<EOF\nx", '2: "<<EOF" has no end; write EOF on a line'),
        ("FROM a\nENV A=1 \\\n  B", '3: ENV: "B" has no value; write NAME=value'),
        ("FROM a\nENV A", '2: ENV: "A" has no value'),
        ("FROM a\nUSER", "2: USER says nothing"),
        ("# escape=x\nFROM a", "1: escape: write ` or \\"),
    ],
)
def test_what_a_builder_refuses_is_told_with_its_line(text: str, told: str) -> None:
    assert any(problem.startswith(told) for problem in problems(text)), problems(text)


def test_a_file_that_is_too_large_is_not_read() -> None:
    found = dockerfiles.parse(b"FROM a\n" * dockerfiles.BYTES_MAX)
    assert (found.instructions, len(found.problems)) == ((), 1)
