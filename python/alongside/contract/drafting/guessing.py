"""Guess what a variable takes from its name and its default: its kind, its unit, if it is secret.

A guess that a default does not bear out is dropped for a text; what a name cannot tell becomes a
question.
"""

from __future__ import annotations

import dataclasses
import re

from alongside.base import errors
from alongside.contract import kinds, promise

_SECRET = re.compile(
    r"(?:^|_)(?:PASS(?:WORD|WD|PHRASE)?|SECRETS?|TOKENS?|CREDENTIALS?|(?:API|ACCESS|PRIVATE|SECRET"
    r"|ENCRYPTION|SIGNING|LICENSE)_?KEY)(?:_|$)|_(?:PWD|PAT)$"
)
_COUNTED = re.compile(
    r"(?:^|_)(?:MAX|MIN|NUM|COUNT|LIMIT|TOTAL)_(?:[A-Z0-9]+_)*TOKENS(?:_|$)"
    r"|(?:^|_)TOKENS_(?:MAX|MIN|NUM|COUNT|LIMIT|TOTAL|PER)(?:_|$)"
)
"""Tokens that are a number of words, not a secret."""
_WITH_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#@\s:]*:[^/?#@\s]+@")
_NOT_SECRET = re.compile(r"_(?:FILE|PATH|DIR|URL|URI|TTL|TIMEOUT|LENGTH|LIFETIME|EXPIRY|NAME)$")
_TIME = re.compile(
    r"TIMEOUT|INTERVAL|PERIOD|DELAY|TTL|GRACE|FREQUENCY|LIFETIME|DURATION|BACKOFF|KEEP_?ALIVE"
    r"|(?:^|_)(?:WAIT|AGE|EXPIRY|EXPIRES|REFRESH|SLEEP)(?:_|$)"
)
_SIZE = re.compile(r"(?:SIZE|MEMORY|BUFFER|BYTES|QUOTA|HEAP)|(?:^|_)(?:MEM|MAXMEMORY)(?:_|$)")
_COUNT = re.compile(
    r"COUNT|WORKERS|THREADS|RETRIES|REPLICAS|PROCESSES|CONNECTIONS|CPUS|NUMBER|DEPTH|TOKENS"
)
_SWITCH = re.compile(
    r"(?:^|_)(?:ENABLED?|DISABLED?|DEBUG|USE|ALLOW|NO|IS|HAS|SKIP|FORCE|VERBOSE|UNBUFFERED|DRY_RUN)"
    r"(?:_|$)|UNBUFFERED|DONTWRITE"
)
_TIME_UNITS = {
    **dict.fromkeys(("S", "SEC", "SECS", "SECOND", "SECONDS"), "s"),
    **dict.fromkeys(("MS", "MSEC", "MSECS", "MILLIS", "MILLISECONDS"), "ms"),
    **dict.fromkeys(("MIN", "MINS", "MINUTES"), "m"),
    **dict.fromkeys(("HOUR", "HOURS"), "h"),
}
_SIZE_UNITS = {"BYTES": "B", "KIB": "Ki", "MIB": "Mi", "GIB": "Gi"}
_UNCLEAR_SIZES = {"KB": ("k", "Ki"), "MB": ("M", "Mi"), "GB": ("G", "Gi")}
_WORDS_OF_TWO = (("yes", "no"), ("on", "off"), ("enabled", "disabled"))
_FOREIGN_SIZE = re.compile(r"[0-9]+(?:\.[0-9]+)?\s?(?:[kKmMgGtT][bB]?|[KMGT]iB)")
_FOREIGN_TIME = re.compile(r"[0-9]+(?:\.[0-9]+)?\s?(?:us|ns|d|w|sec|secs|min|mins|hours?|days?)")
_NUMBER = re.compile(r"-?[0-9]{1,15}")
_EXAMPLES = {
    promise.Kind.TEXT: "some-text",
    promise.Kind.INTEGER: "10",
    promise.Kind.NUMBER: "0.5",
    promise.Kind.BOOLEAN: "true",
    promise.Kind.DURATION: "30s",
    promise.Kind.SIZE: "64Mi",
    promise.Kind.ADDRESS: "127.0.0.1:8080",
    promise.Kind.PORT: "8080",
    promise.Kind.URL: "https://app.example.org",
    promise.Kind.PATH: "/data",
    promise.Kind.CIDR: "10.0.0.0/8",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Guess:
    """What a variable seems to take, and what has to be asked about it."""

    kind: promise.Kind
    unit: str = ""
    minimum: str | None = None
    choices: tuple[str, ...] = ()
    is_secret: bool = False
    question: str = ""


def guess(name: str, default: str | None) -> Guess:
    """Return what a variable of that name and default seems to take; never raises."""
    upper = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()
    is_none = _NOT_SECRET.search(upper) or _COUNTED.search(upper)
    if (_SECRET.search(upper) and not is_none) or _WITH_PASSWORD.match(default or ""):
        return Guess(promise.Kind.TEXT, is_secret=True)
    found = _by_name(upper, name) if not default else _by_value(upper, name, default)
    is_fitting = found.kind is not promise.Kind.TEXT and _bears_out(found, default or "")
    return found if not default or is_fitting else _text(name, default)


def example(found: Guess, default: str | None) -> str:
    """Return an example of what a variable takes."""
    if found.is_secret:
        return "a-long-random-word"
    if default:
        return default
    if found.choices and found.kind is promise.Kind.CHOICE:
        return found.choices[0]
    if found.choices:
        return f"{found.choices[0]}://app.example.org:{8080}"
    return _EXAMPLES.get(found.kind, "some-text")


def _bears_out(found: Guess, default: str) -> bool:
    parameter = promise.Parameter(
        name="x",
        kind=found.kind,
        description="",
        example=default,
        unit=found.unit,
        minimum=found.minimum,
        choices=found.choices,
    )
    try:
        kinds.read_foreign(default, parameter)
    except errors.UsageError:
        return False
    return True


def _by_name(upper: str, name: str) -> Guess:
    """Return a guess for a variable without a default."""
    last = upper.rpartition("_")[2]
    if last in _TIME_UNITS:
        return Guess(promise.Kind.DURATION, unit=_TIME_UNITS[last], minimum="0")
    if _TIME.search(upper):
        return Guess(
            promise.Kind.TEXT, question=f"{name}: how is a time written, and in which unit?"
        )
    match last:
        case "PORT":
            return Guess(promise.Kind.PORT)
        case "URL" | "URI" | "ENDPOINT":
            return Guess(promise.Kind.TEXT, question=f"{name}: which schemes may the URL have?")
        case "FILE" | "PATH" | "DIR" | "DIRECTORY" | "HOME":
            return Guess(promise.Kind.PATH)
        case _:
            return Guess(promise.Kind.TEXT)


def _by_value(upper: str, name: str, default: str) -> Guess:
    if default in {"true", "false"}:
        return Guess(promise.Kind.BOOLEAN)
    for pair in _WORDS_OF_TWO:
        if default in pair:
            return Guess(promise.Kind.CHOICE, choices=pair)
    if default in {"0", "1"} and _SWITCH.search(upper) and not _TIME.search(upper):
        return Guess(promise.Kind.CHOICE, choices=("0", "1"))
    if _NUMBER.fullmatch(default):
        return _by_number(upper, name, default)
    if re.fullmatch(r"-?[0-9]{1,15}\.[0-9]{1,15}", default):
        return _fraction(upper, name, default)
    return _by_notation(upper, default)


def _by_number(upper: str, name: str, default: str) -> Guess:
    words = upper.split("_")
    if "PORT" in words and _bears_out(Guess(promise.Kind.PORT), default):
        return Guess(promise.Kind.PORT)
    last = words[-1]
    if last in _TIME_UNITS and not default.startswith("-"):
        return Guess(promise.Kind.DURATION, unit=_TIME_UNITS[last], minimum=_zero(default))
    if last in _SIZE_UNITS and not default.startswith("-"):
        return Guess(promise.Kind.SIZE, unit=_SIZE_UNITS[last])
    return Guess(promise.Kind.INTEGER, question=_unit_question(upper, name, default))


def _unit_question(upper: str, name: str, default: str) -> str:
    """Return what has to be asked about a bare number; empty where it seems to count things."""
    last = upper.rpartition("_")[2]
    if last in _UNCLEAR_SIZES:
        small, large = _UNCLEAR_SIZES[last]
        return f"{name}={default}: does {last} count powers of 1000 ({small}) or 1024 ({large})?"
    if _TIME.search(upper):
        return f"{name}={default}: seconds, milliseconds or something else?"
    if _SIZE.search(upper) and not _COUNT.search(upper):
        return f"{name}={default}: bytes, mebibytes or a number of things?"
    return ""


def _fraction(upper: str, name: str, default: str) -> Guess:
    if re.search(r"VERSION|RELEASE", upper):
        return Guess(promise.Kind.TEXT)
    return Guess(promise.Kind.NUMBER, question=_unit_question(upper, name, default))


def _zero(default: str) -> str | None:
    return "0" if default.strip("0") == "" else None


def _by_notation(upper: str, default: str) -> Guess:
    """Return a guess for what is written in a notation of its own."""
    order: tuple[promise.Kind, ...]
    scheme = re.match(r"([a-z][a-z0-9+.-]{1,20})://", default)
    if scheme:
        return Guess(promise.Kind.URL, choices=(scheme[1],))
    if default.startswith(("/", "./")) and ":" not in default:
        return Guess(promise.Kind.PATH)
    if _SIZE.search(upper):
        order = (promise.Kind.SIZE,)
    elif re.fullmatch(r"[0-9.]+m", default) and not _TIME.search(upper):
        order = ()  # minutes here, mebibytes there, thousandths elsewhere
    else:
        order = (promise.Kind.DURATION, promise.Kind.SIZE)
    for kind in (*order, promise.Kind.ADDRESS):
        if _bears_out(Guess(kind), default):
            return Guess(kind)
    is_network = re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]{1,3}", default)
    return Guess(promise.Kind.CIDR if is_network else promise.Kind.TEXT)


def _text(name: str, default: str) -> Guess:
    """Return what stands for a value that fits no kind, with a question where it holds a unit."""
    if re.fullmatch(r"[0-9.]+m", default):
        return Guess(promise.Kind.TEXT, question=f"{name}={default}: minutes, or mebibytes?")
    if _FOREIGN_SIZE.fullmatch(default):
        return Guess(promise.Kind.TEXT, question=f"{name}={default}: powers of 1000 or of 1024?")
    if _FOREIGN_TIME.fullmatch(default):
        return Guess(promise.Kind.TEXT, question=f"{name}={default}: which units may it have?")
    return Guess(promise.Kind.TEXT)
