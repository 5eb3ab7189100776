"""Draft a contract from what is known of an image, with the questions that are left."""

from __future__ import annotations

import dataclasses
import itertools
import re

from alongside.contract import faults, promise
from alongside.contract.drafting import candidates, guessing, images, ports, scripts, sentences

QUESTION_NAMES_MAX = 12
"""More names in one question are counted, not listed."""

_OPENCONTAINERS = "org.opencontainers.image."
_RUNNERS = frozenset(
    {
        *("sh", "bash", "ash", "dash", "env", "exec", "tini", "dumb-init", "su-exec", "gosu"),
        *("python", "python3", "node", "npm", "yarn", "java", "ruby", "php", "perl", "dotnet"),
        *("while", "if", "for", "set", "cd", "export", "trap", "test", "until", "case", "true"),
        *("bundle", "uv", "poetry", "npx", "cmd", "powershell", "pwsh", "--", "-c", "/c"),
    }
)
_LOOPBACK = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)(?::([0-9]{1,5}))?(/[\w./~%?=+-]*)?"
)
_VALID_USER = re.compile(r"[0-9]+(?::[0-9]+)?")


@dataclasses.dataclass(frozen=True, slots=True)
class Draft:
    """A contract, and by parameter where it was found and what has to be asked about it."""

    contract: promise.Contract
    places: dict[str, str]
    questions: dict[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    candidate: candidates.Candidate
    guess: guessing.Guess
    parameter: promise.Parameter


def draft(image: images.Image, component: str) -> Draft:
    """Return the contract that an image seems to keep; equal images give equal drafts.

    Args:
        image: what is known of it.
        component: how it is called, where the image itself does not say.
    """
    found = candidates.gather(image)
    prefix = _prefix([one.variable for one in found], image)
    rows = _rows(found, prefix)
    opened = ports.of(image, [(row.candidate.variable, row.parameter) for row in rows])
    summary = image.labels.get(f"{_OPENCONTAINERS}description") or image.labels.get("description")
    contract = promise.Contract(
        component=_component(image, component),
        version=_label(image, "version"),
        summary=sentences.sentence(summary.text if summary else ""),
        promise=_promise(image),
        parameters=tuple(row.parameter for row in rows),
        ports=tuple(port for port, _ in opened),
        routes=tuple(_routes(image, [port for port, _ in opened])),
        signals=tuple(_signals(image)),
        exits=tuple(promise.Exit(code, "") for code in sorted(_exits(image))),
        volumes=tuple(_volumes(image)),
        user=_user(image),
        precedence=("variable", "default"),
        own_prefix=prefix,
        questions=(
            *_parameter_questions(rows, prefix),
            *(question for _, question in opened if question),
            *_image_questions(image),
        ),
    )
    places = {row.parameter.name: row.candidate.place for row in rows}
    asked = {row.parameter.name: row.guess.question for row in rows if row.guess.question}
    return Draft(contract, places, asked)


def _prefix(variables: list[str], image: images.Image) -> str:
    """Return what most variables begin with, such as `APP_`; empty where that is nothing.

    Others with the prefix will be refused, so it is none where the image itself sets such a one.
    """
    counts: dict[str, int] = {}
    for name in variables:
        head = name.partition("_")[0] + "_"
        if len(head) > 3 and len(name) > len(head) and name[len(head)].isalpha():
            counts[head] = counts.get(head, 0) + 1
    best = max(counts, key=lambda head: counts[head], default="")
    is_shared = counts.get(best, 0) >= 3 and counts[best] * 2 > len(variables)
    others = set(image.variables) - set(variables)
    longer = _common([name for name in variables if best and name.startswith(best)])
    are_names = all(name.removeprefix(longer)[:1].isalpha() for name in variables)
    best = longer if is_shared and are_names else best
    return best if is_shared and not any(name.startswith(best) for name in others) else ""


def _common(names: list[str]) -> str:
    """Return the words that all names begin with, the `_` behind them included."""
    letters = zip(*names, strict=False)
    same = [column[0] for column in itertools.takewhile(lambda one: len(set(one)) == 1, letters)]
    common = "".join(same)
    return common[: common.rfind("_") + 1]


def _rows(found: list[candidates.Candidate], prefix: str) -> list[_Row]:
    rows: list[_Row] = []
    names: set[str] = set()
    for candidate in found:
        guess = guessing.guess(candidate.variable, candidate.default)
        if candidate.file_of:
            guess = guessing.Guess(promise.Kind.PATH)
        base = candidate.variable.removeprefix(prefix).lower().strip("_") or "value"
        name = base if base not in names else f"{base}_{len(names) + 1}"
        names.add(name)
        rows.append(_Row(candidate, guess, _parameter(candidate, guess, name)))
    return rows


def _parameter(
    candidate: candidates.Candidate, guess: guessing.Guess, name: str
) -> promise.Parameter:
    default = None if guess.is_secret else candidate.default
    description = sentences.sentence(candidate.comment) or sentences.sentence(candidate.message)
    if candidate.file_of:
        description = f"file that holds the value of {candidate.file_of}, instead of that variable"
    return promise.Parameter(
        name=name,
        kind=guess.kind,
        description=description,
        example=guessing.example(guess, default),
        unit=guess.unit,
        default=default,
        unset=f"{candidate.file_of} is taken" if candidate.file_of else "",
        is_required=candidate.is_required and default is None,
        is_secret=guess.is_secret,
        minimum=guess.minimum,
        choices=guess.choices,
        own_flag="",
        own_variable=candidate.variable,
    )


def _component(image: images.Image, fallback: str) -> str:
    """Return a name: what the image is titled, the program it starts, or what the caller says."""
    programs = [command for command in (image.entrypoint, image.command) if command]
    words = [
        word.rpartition("/")[2]
        for command in programs
        for word in (command.words[0].split()[:2] if command.is_shell else command.words[:4])
    ]
    own = [
        word
        for word in words[:4]
        if word not in _RUNNERS and re.fullmatch(r"[a-z][a-z0-9_.-]*", word) and "." not in word
    ]
    text = _label(image, "title") or (own[0] if own else fallback)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "component"


def _label(image: images.Image, name: str) -> str:
    said = image.labels.get(_OPENCONTAINERS + name)
    return said.text.strip() if said and "$" not in said.text else ""


def _promise(image: images.Image) -> str:
    known = {word: _label(image, word) for word in ("documentation", "url", "source", "licenses")}
    return " ".join(f"{word.capitalize()}: {text}." for word, text in known.items() if text)


def _routes(image: images.Image, opened: list[promise.Port]) -> list[promise.Route]:
    found = _LOOPBACK.search(image.health.command) if image.health else None
    if found is None:
        return []
    number = int(found[1] or "80")
    door = next((port.name for port in opened if port.number == number), f"port {number}")
    answers = (promise.Answer(200, "it is well"),)
    what = "says whether it is well; the image's HEALTHCHECK asks it"
    return [promise.Route(door, "GET", found[2] or "/", what, answers)]


def _signals(image: images.Image) -> list[promise.Signal]:
    stop = _signal_name(image.stop_signal.text) if image.stop_signal else "SIGTERM"
    names = [stop]
    for script in image.scripts:
        names += [_signal_name(word) for word in scripts.look(script.text).traps]
    unique = dict.fromkeys(name for name in names if name not in {"SIGEXIT", "SIG0", "SIGERR"})
    return [promise.Signal(name, "ends it" if name == stop else "") for name in unique]


def _signal_name(text: str) -> str:
    word = text.strip().upper()
    return word if word.startswith("SIG") or not word.isalpha() else f"SIG{word}"


def _exits(image: images.Image) -> dict[int, str]:
    """Return the exit codes of the scripts and where the first of each stands."""
    found: dict[int, str] = {}
    for script in image.scripts:
        for code, line in scripts.look(script.text).exits.items():
            found.setdefault(code, script.place(line))
    return found


def _volumes(image: images.Image) -> list[promise.Volume]:
    by_path = {said.text: said for said in image.volumes}
    return [
        promise.Volume(path, sentences.sentence(said.comment)) for path, said in by_path.items()
    ]


def _user(image: images.Image) -> str:
    if image.user is not None:
        # What names nobody is a question of the draft.
        return image.user.text if faults.is_user(image.user.text) else ""
    return "0" if image.base == "scratch" else ""


def _parameter_questions(rows: list[_Row], prefix: str) -> list[str]:
    questions = [row.guess.question for row in rows if row.guess.question]
    without = [
        row.candidate.variable
        for row in rows
        if row.parameter.default is None and not row.parameter.is_required
        if not row.candidate.file_of and not row.candidate.arguments
    ]
    if without:
        questions.append(
            f"{_listed(without)}: required, or what does it mean not to be set (unset)?"
        )
    for row in rows:
        where, name = row.candidate.place, row.candidate.variable
        if row.candidate.arguments:
            named = _listed(list(row.candidate.arguments))
            questions.append(
                f"{name} ({where}) comes from the build argument {named}: which value is published?"
            )
        if row.guess.is_secret and row.candidate.default:
            questions.append(
                f"{name} ({where}) has a value that everyone with the image can read: why?"
            )
    if prefix:
        questions.append(
            f"Is every variable that begins with {prefix} one of its own? Others are refused."
        )
    return questions


def _image_questions(image: images.Image) -> list[str]:
    questions = []
    if image.user is None and image.base not in {"", "scratch"}:
        questions.append(f"Which user does the image {image.base} run as?")
    elif image.user is not None and not _VALID_USER.fullmatch(image.user.text):
        questions.append(f"Which number has the user {image.user.text} ({image.user.place})?")
    questions += [
        f"Exit code {code} ({place}): when does it end with it?"
        for code, place in sorted(_exits(image).items())
    ]
    questions += [
        f"{one.place}: an image built on this one runs {one.text[:100]}: what must it bring?"
        for one in image.triggers[:QUESTION_NAMES_MAX]
    ]
    facts = [name for name in image.variables if candidates.is_fact(name)]
    if facts:
        questions.append(f"{_listed(facts)}: set by the image and left out; does anybody set one?")
    return questions


def _listed(names: list[str]) -> str:
    more = len(names) - QUESTION_NAMES_MAX
    shown = ", ".join(names[:QUESTION_NAMES_MAX])
    return f"{shown} and {more} more" if more > 0 else shown
