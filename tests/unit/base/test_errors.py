"""Errors say what the reader can do, and become exit codes."""

import pytest

from alongside.base import errors


def test_exit_codes_follow_the_tree() -> None:
    codes = {
        errors.AlongsideError("x"): 1,
        errors.UsageError("x"): 2,
        errors.AddressTakenError("x"): 3,
        errors.TemporaryError("x", retry_after_s=1): 1,
        errors.PermanentError("x"): 1,
        errors.PeerError("x", side="upstream", retry=True): 1,
    }
    assert {error: int(error.exit_code) for error in codes} == codes


def test_a_usage_error_keeps_every_problem() -> None:
    error = errors.UsageError("first", "second")
    assert error.problems == ("first", "second")
    assert str(error) == "first\nsecond"


def test_a_usage_error_without_a_problem_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="at least one"):
        errors.UsageError()
