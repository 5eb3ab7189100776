"""Say what an image lacks for others to rely on it, and where it and its contract disagree."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from alongside.base import nearest, units
from alongside.contract.drafting import candidates, guessing, images, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.contract import promise

SEARCHES_MAX = 20
"""How many unknown names are compared with all known ones; of more, none was misspelt."""
OPENCONTAINERS = "org.opencontainers.image."
LABELS = {
    "title": "a short name",
    "description": "one sentence",
    "version": "the version of what is packaged",
    "source": "the URL of the source",
    "revision": "the commit, by a build argument",
    "created": "the moment of the build, by a build argument",
    "documentation": "the URL of the documentation",
    "licenses": "an SPDX expression such as Apache-2.0",
    "authors": "who answers for it (or vendor)",
    "base.name": "the name of the image it is built on",
}
"""What every image should say of itself, and how."""
_LABEL_SCHEMA = {
    "build-date": "created",
    "description": "description",
    "url": "url",
    "usage": "documentation",
    "vcs-ref": "revision",
    "vcs-url": "source",
    "vendor": "vendor",
    "version": "version",
}
"""What the labels that came before are called now."""
_NEARLY = re.compile(r"(?i)org\.?open-?containers?\.(?:\w+\.(?=\w))?")
_KNOWN = (*LABELS, "url", "vendor", "ref.name", "base.digest")
_LABEL_FORMS = {
    "created": (
        re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"),
        "a moment as 2026-01-31T12:00:00Z",
    ),
    **dict.fromkeys(
        ("url", "source", "documentation"), (re.compile(r"[a-z][a-z0-9+.-]*:\S+"), "a URL")
    ),
    "licenses": (
        re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+|[() ])*"),
        "an SPDX expression such as Apache-2.0",
    ),
    "version": (re.compile(r"\S+"), "a version without blanks"),
    "base.digest": (re.compile(r"sha256:[0-9a-f]{64}"), "a digest as sha256:..."),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What is missing or wrong, where, and what to do about it."""

    place: str
    text: str

    @property
    def line(self) -> str:
        """Return it as a line for people and editors."""
        return f"{self.place}: {self.text}"


def check(image: images.Image, contract: promise.Contract | None = None) -> list[Finding]:
    """Return everything that an image lacks, in the order of its lines.

    Args:
        image: from a Dockerfile or a built one.
        contract: what it is said to keep; without one, comments count as documentation.
    """
    findings = [*_labels(image), *_habits(image)]
    if contract is None:
        findings += _unexplained(image)
    else:
        findings += [*_variables(image, contract), *_ports(image, contract)]
        findings += _others(image, contract)
    return sorted(dict.fromkeys(findings), key=_order)


def _order(finding: Finding) -> tuple[str, int, str]:
    name, _, line = finding.place.rpartition(":")
    return (name, int(line), finding.text) if line.isdigit() else (finding.place, 0, finding.text)


def _labels(image: images.Image) -> Iterator[Finding]:
    for name, said in image.labels.items():
        yield from _label(name, said)
    missing = [name for name in LABELS if OPENCONTAINERS + name not in image.labels]
    if OPENCONTAINERS + "vendor" in image.labels and "authors" in missing:
        missing.remove("authors")
    if image.base == "scratch" and "base.name" in missing:
        missing.remove("base.name")
    for name in missing:
        label = OPENCONTAINERS + name
        text = f'label {label} is missing; write LABEL {label}="..." with {LABELS[name]}'
        yield Finding(image.begun, text)


def _label(name: str, said: images.Said) -> Iterator[Finding]:
    short = name.removeprefix(OPENCONTAINERS)
    if name.startswith(OPENCONTAINERS) and short in _KNOWN:
        form = _LABEL_FORMS.get(short)
        if said.text.strip() == "":
            yield Finding(said.place, f"label {name} is empty; complete it or leave it out")
        elif form and "$" not in said.text and not form[0].fullmatch(said.text):
            yield Finding(said.place, f"label {name} says something else; write {form[1]}")
    elif name == "maintainer":
        yield Finding(said.place, f"label maintainer is out of use; write {OPENCONTAINERS}authors")
    elif name.startswith("org.label-schema."):
        new = _LABEL_SCHEMA.get(name.rpartition(".")[2], "title")
        yield Finding(said.place, f"label {name} is out of use; write {OPENCONTAINERS}{new}")
    elif re.match(_NEARLY, name):
        near = nearest.nearest(re.sub(_NEARLY, "", name), _KNOWN)
        hint = f"did you mean {OPENCONTAINERS}{near}?" if near else "org.opencontainers is reserved"
        yield Finding(said.place, f"label {units.shown(name)} is not known; {hint}")
    elif name == "" or re.search(r"[^A-Za-z0-9._/-]", name):
        shown = units.shown(name)
        yield Finding(said.place, f"label {shown} is no name; write letters, digits, dots, dashes")


def _habits(image: images.Image) -> Iterator[Finding]:
    """Yield what makes an image hard to rely on, whatever its contract says."""
    for said in image.not_ports:
        shown = units.shown(said.text)
        yield Finding(said.place, f"EXPOSE {shown} is no port; write a number from 1 to 65535")
    if image.maintainer:
        text = f'MAINTAINER is out of use; write LABEL {OPENCONTAINERS}authors="..."'
        yield Finding(image.maintainer.place, text)
    if image.user is None and image.base != "":
        yield Finding(image.begun, "says no USER; write USER with a number such as 65532")
    elif image.user is not None and not re.match(r"[0-9]", image.user.text):
        shown = units.shown(image.user.text)
        text = f"USER {shown} is a name, of which a cluster cannot tell that it is not root"
        yield Finding(image.user.place, f"{text}; write its number")
    for word, command in (("ENTRYPOINT", image.entrypoint), ("CMD", image.command)):
        starts = (
            command is not None
            and command.is_shell
            and (word == "ENTRYPOINT" or not image.entrypoint)
        )
        if command is not None and starts and not command.words[0].startswith("exec "):
            text = f"{word} in shell form: its shell gets the signals, not the program"
            yield Finding(command.place, f'{text}; write {word} ["..."] or begin it with exec')
    for name, variable in image.variables.items():
        if variable.value.text and guessing.guess(name, variable.value.text).is_secret:
            text = f"{name} seems to be a secret, and everyone with the image can read it"
            yield Finding(variable.value.place, f"{text}; leave its value out")


def _unexplained(image: images.Image) -> Iterator[Finding]:
    silent = [
        (one.place, one.variable)
        for one in candidates.gather(image)
        if not one.comment and not one.message and not one.file_of
    ]
    silent += [
        (exposed.said.place, f"port {exposed.said.text}")
        for exposed in image.exposed
        if not exposed.said.comment
    ]
    silent += [(said.place, f"volume {said.text}") for said in image.volumes if not said.comment]
    remedy = "write a comment above it, or a contract"
    yield from (Finding(place, f"{what} is not explained; {remedy}") for place, what in silent)


def _names(contract: promise.Contract) -> dict[str, promise.Parameter]:
    """Return every variable of a contract with its parameter."""
    found: dict[str, promise.Parameter] = {}
    for parameter in contract.parameters:
        variable = contract.variable(parameter)
        found |= {variable: parameter} if variable else {}
        found |= {alias.name: parameter for alias in parameter.aliases if not alias.is_flag}
    return found


def _variables(image: images.Image, contract: promise.Contract) -> Iterator[Finding]:
    names = _names(contract)
    searches = 0
    for candidate in candidates.gather(image):
        parameter = names.get(candidate.variable)
        if parameter is None:
            searches += 1
            is_sought = searches <= SEARCHES_MAX
            near = nearest.nearest(candidate.variable, names) if is_sought else None
            hint = f"did you mean {near}?" if near else "describe it there"
            text = f"{candidate.variable} is not in the contract; {hint}"
            yield Finding(candidate.place, text)
            continue
        yield from _differences(candidate, parameter)


def _differences(
    candidate: candidates.Candidate, parameter: promise.Parameter
) -> Iterator[Finding]:
    name, ours = candidate.variable, parameter.default
    if parameter.is_secret:
        return
    if candidate.default is not None and parameter.is_required:
        text = f"{name} is {units.shown(candidate.default)} here, and required by the contract"
        yield Finding(candidate.place, f"{text}; change one of them")
    elif candidate.default is not None and ours != candidate.default:
        said = "has no default" if ours is None else f"says {units.shown(ours)}"
        text = f"{name} is {units.shown(candidate.default)} here, and the contract {said}"
        yield Finding(candidate.place, f"{text}; change one of them")
    elif candidate.is_required and not parameter.is_required and ours is None:
        text = f"{name} has to be set here, and the contract does not require it"
        yield Finding(candidate.place, f"{text}; change one of them")


def _ports(image: images.Image, contract: promise.Contract) -> Iterator[Finding]:
    promised = {port.number for port in contract.ports if port.number is not None}
    for exposed in image.exposed:
        if not promised.intersection(range(exposed.first, exposed.last + 1)):
            text = f"port {exposed.said.text} is not in the contract; describe it there"
            yield Finding(exposed.said.place, text)
    for number in sorted(promised):
        if not any(one.first <= number <= one.last for one in image.exposed):
            text = f"port {number} of the contract is not exposed; write EXPOSE {number}"
            yield Finding(image.begun, text)


def _others(image: images.Image, contract: promise.Contract) -> Iterator[Finding]:
    here = {said.text: said for said in image.volumes}
    there = {volume.path for volume in contract.volumes}
    for path, said in here.items():
        if path not in there:
            text = f"volume {path} is not in the contract; describe it there"
            yield Finding(said.place, text)
    for path in sorted(there - set(here)):
        yield Finding(image.begun, f"volume {path} of the contract is missing; write VOLUME {path}")
    if image.user is not None and contract.user not in {"", image.user.text}:
        text = f"USER is {units.shown(image.user.text)}, and the contract says {contract.user}"
        yield Finding(image.user.place, f"{text}; change one of them")
    if image.stop_signal is not None:
        name = "SIG" + image.stop_signal.text.strip().upper().removeprefix("SIG")
        if name[3:].isalpha() and name not in {signal.name for signal in contract.signals}:
            text = f"STOPSIGNAL {name} is not in the contract; describe it there"
            yield Finding(image.stop_signal.place, text)
    yield from _versions(image, contract)


def _versions(image: images.Image, contract: promise.Contract) -> Iterator[Finding]:
    said = image.labels.get(OPENCONTAINERS + "version")
    if said and said.text and contract.version not in {"", said.text}:
        text = f"version is {units.shown(said.text)}, and the contract says {contract.version}"
        yield Finding(said.place, f"{text}; change one of them")
    what = image.labels.get(OPENCONTAINERS + "description")
    if what and what.text and contract.summary:
        is_same = sentences.sentence(what.text).lower() == contract.summary.lower()
        if not is_same:
            text = f"description differs from the contract's, {units.shown(contract.summary)}"
            yield Finding(what.place, f"{text}; change one of them")
