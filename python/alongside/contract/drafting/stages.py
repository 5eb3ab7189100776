"""Say what the last stage of a Dockerfile, or a named one, makes: an image, without building it."""

from __future__ import annotations

import dataclasses
import posixpath
import re
from typing import TYPE_CHECKING

from alongside.base import errors, nearest, units
from alongside.contract.drafting import copies, dockerfiles, expansion, images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROBLEMS_MAX = 50
"""More mistakes of a file are counted, not listed."""
EXPOSED_MAX = 512
"""More ports or ranges are none that somebody wrote, and are passed over."""
INDENT_MAX = 1024
"""A comment belongs to the first word of the line below it, behind at most so many blanks."""
_PREDEFINED = frozenset(
    f"{side}{what}" for side in ("TARGET", "BUILD") for what in ("PLATFORM", "OS", "ARCH")
)
_NOTHING = "scratch"
"""The base that holds nothing, and sets no variable."""
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/([A-Za-z]+))?")


@dataclasses.dataclass(slots=True)
class _Stage:
    """One stage while its instructions are applied."""

    name: str
    base: str
    begun: str
    arguments: dict[str, str | None] = dataclasses.field(default_factory=dict)
    comments: dict[str, images.Said] = dataclasses.field(default_factory=dict)
    variables: dict[str, images.Variable] = dataclasses.field(default_factory=dict)
    exposed: dict[str, images.Exposed] = dataclasses.field(default_factory=dict)
    labels: dict[str, images.Said] = dataclasses.field(default_factory=dict)
    volumes: list[images.Said] = dataclasses.field(default_factory=list)
    copied: list[copies.Copied] = dataclasses.field(default_factory=list)
    triggers: list[dockerfiles.Instruction] = dataclasses.field(default_factory=list)
    user: images.Said | None = None
    folder: str = "/"
    stop_signal: images.Said | None = None
    health: images.Health | None = None
    entrypoint: images.Command | None = None
    command: images.Command | None = None
    maintainer: images.Said | None = None
    not_ports: list[images.Said] = dataclasses.field(default_factory=list)
    has_own_command: bool = False

    def child(self, name: str, begun: str) -> _Stage:
        """Return a stage built on this one, which goes on with all but its triggers."""
        return dataclasses.replace(
            self,
            name=name,
            begun=begun,
            arguments=dict(self.arguments),
            comments=dict(self.comments),
            variables=dict(self.variables),
            exposed=dict(self.exposed),
            labels=dict(self.labels),
            volumes=list(self.volumes),
            copied=list(self.copied),
            triggers=[],
            not_ports=list(self.not_ports),
            has_own_command=False,
        )


def image_of(
    dockerfile: dockerfiles.Dockerfile,
    *,
    name: str,
    target: str = "",
    read: Callable[[str], str | None] = lambda _: None,
) -> images.Image:
    """Return what a stage of a Dockerfile makes.

    Args:
        dockerfile: as `dockerfiles.parse` returned it.
        name: the file, for places in messages.
        target: the stage's name or number; the last one where empty.
        read: returns the text of a file of the build context by its path, None where there is
            none.

    Raises:
        errors.UsageError: a builder would refuse the file, or there is no such stage.
    """
    found = dockerfile.problems
    problems = [f"{name}:{problem.line}: {problem.text}" for problem in found[:PROBLEMS_MAX]]
    if problems:
        more = len(found) - len(problems)
        problems += [f"{name}: and {more} more mistakes"] if more else []
        raise errors.UsageError(*problems)
    builder = _Builder(dockerfile.escape, name)
    for instruction in dockerfile.instructions:
        builder.take(instruction)
    stage = builder.stage(target)
    return _image(stage, name, copies.scripts(_commands(stage), stage.copied, read))


class _Builder:
    """Applies instructions one after the other."""

    def __init__(self, escape: str, name: str) -> None:
        self._escape = escape
        self._name = name
        self._globals: dict[str, str | None] = {}
        self._comments: dict[str, images.Said] = {}
        self._stages: list[_Stage] = []
        self._by_name: dict[str, _Stage] = {}

    def stage(self, target: str) -> _Stage:
        """Return a stage by name or number, the last one where no target is given."""
        found = self._stages[-1] if target == "" else self._earlier(target)
        if found is None:
            names = [stage.name for stage in self._stages if stage.name]
            near = nearest.nearest(target, names)
            hint = f"did you mean {near}?" if near else f"it has {', '.join(names) or 'one alone'}"
            raise errors.UsageError(f"{self._name}: has no stage {units.shown(target)}; {hint}")
        return found

    def take(self, instruction: dockerfiles.Instruction) -> None:
        """Apply one instruction to the stage it stands in."""
        if instruction.word == "FROM":
            stage = self._begun(instruction)
            self._stages.append(stage)
            self._by_name |= {stage.name: stage} if stage.name else {}
        elif self._stages:
            self._apply(self._stages[-1], instruction)
        elif instruction.word == "ARG":
            for key, value, said in self._arguments(instruction, self._globals.get):
                self._globals[key] = value
                self._comments[key] = said

    def _earlier(self, name: str) -> _Stage | None:
        if name.lower() in self._by_name:
            return self._by_name[name.lower()]
        is_number = name.isascii() and name.isdigit() and len(name) < 6
        if is_number and int(name) < len(self._stages):
            return self._stages[int(name)]
        return None

    def _begun(self, instruction: dockerfiles.Instruction) -> _Stage:
        words = [
            expansion.expand(word.raw, self._globals.get, self._escape).text
            for word in expansion.words(instruction.text, self._escape)
        ]
        base = words[0] if words else ""
        name = words[2].lower() if len(words) == 3 and words[1].upper() == "AS" else ""
        begun = f"{self._name}:{instruction.line}"
        parent = self._earlier(base) if not base.isdigit() else None
        if parent is None:
            return _Stage(name, base, begun)
        stage = parent.child(name, begun)
        for triggered in parent.triggers:
            inner = dockerfiles.trigger(triggered)
            if inner is not None and inner.word not in {"FROM", "ONBUILD"}:
                self._apply(stage, inner)
        return stage

    def _said(self, instruction: dockerfiles.Instruction, text: str, at: int = 0) -> images.Said:
        piece = instruction.piece(at)
        is_near = at - piece.at < INDENT_MAX
        is_first = is_near and instruction.text[piece.at : at].strip() == ""
        place = f"{self._name}:{piece.line}"
        return images.Said(text, place, piece.comment if is_first else "")

    def _lookup(self, stage: _Stage) -> Callable[[str], str | None]:
        def look(name: str) -> str | None:
            if name in stage.variables:
                return stage.variables[name].value.text
            return stage.arguments.get(name)

        return look

    def _expanded(self, stage: _Stage, raw: str) -> expansion.Expansion:
        return expansion.expand(raw, self._lookup(stage), self._escape)

    def _words(self, stage: _Stage, instruction: dockerfiles.Instruction) -> list[images.Said]:
        words = instruction.json()
        if words is not None:
            return [self._said(instruction, word) for word in words]
        return [
            self._said(instruction, self._expanded(stage, word.raw).text, word.at)
            for word in expansion.words(instruction.text, self._escape)
        ]

    def _apply(self, stage: _Stage, instruction: dockerfiles.Instruction) -> None:
        match instruction.word:
            case "ENV":
                self._environment(stage, instruction)
            case "ARG":
                self._argument(stage, instruction)
            case "EXPOSE":
                self._expose(stage, instruction)
            case "LABEL":
                self._label(stage, instruction)
            case "VOLUME":
                stage.volumes += self._words(stage, instruction)
            case "COPY" | "ADD":
                self._copy(stage, instruction)
            case "ONBUILD":
                stage.triggers.append(instruction)
            case _:
                self._apply_single(stage, instruction)

    def _apply_single(self, stage: _Stage, instruction: dockerfiles.Instruction) -> None:
        """Apply an instruction of which the last one counts."""
        text = self._expanded(stage, instruction.text).text
        said = self._said(instruction, text)
        match instruction.word:
            case "USER":
                stage.user = said
            case "WORKDIR":
                stage.folder = posixpath.normpath(posixpath.join(stage.folder, text))
            case "STOPSIGNAL":
                stage.stop_signal = said
            case "MAINTAINER":
                stage.maintainer = self._said(instruction, instruction.text)
            case "HEALTHCHECK":
                word, _, command = instruction.text.partition(" ")
                words = dockerfiles.json_words(command)
                shown = " ".join(words) if words is not None else command.strip()
                expanded = self._expanded(stage, shown).text
                is_off = word.upper() == "NONE"
                stage.health = None if is_off else images.Health(expanded, said.place)
            case "ENTRYPOINT":
                stage.entrypoint = self._command(instruction)
                stage.command = stage.command if stage.has_own_command else None
            case "CMD":
                stage.command = self._command(instruction)
                stage.has_own_command = True
            case _:
                pass  # what is left concerns the build alone

    def _command(self, instruction: dockerfiles.Instruction) -> images.Command:
        words = instruction.json()
        place = f"{self._name}:{instruction.line}"
        return images.Command(
            words if words is not None else (instruction.text,), words is None, place
        )

    def _pairs(self, instruction: dockerfiles.Instruction) -> list[tuple[str, str, images.Said]]:
        """Return the names and raw values of an `ENV` or `LABEL`, in both of its forms."""
        words = expansion.words(instruction.text, self._escape)
        if words and "=" not in words[0].raw:
            rest = instruction.text[words[0].at + len(words[0].raw) :].strip()
            return [(words[0].raw, rest, self._said(instruction, "", words[0].at))]
        pairs = []
        for word in words:
            name, equals, raw = word.raw.partition("=")
            if equals:
                pairs.append((name, raw, self._said(instruction, "", word.at)))
        return pairs

    def _environment(self, stage: _Stage, instruction: dockerfiles.Instruction) -> None:
        # Every value of one instruction sees the variables as they were before it.
        after: dict[str, images.Variable] = {}
        for name, raw, said in self._pairs(instruction):
            found = self._expanded(stage, raw)
            missing = tuple(
                used
                for used in found.names
                if used in stage.arguments and stage.arguments[used] is None
            )
            inherited = [stage.variables[used] for used in found.names if used in stage.variables]
            is_known = found.is_known and all(one.is_known for one in inherited)
            # What is set nowhere here is empty, unless an image that nobody read sets it.
            if stage.base != _NOTHING:
                is_known &= all(
                    used in stage.variables or used in stage.arguments for used in found.names
                )
            after[name] = images.Variable(
                dataclasses.replace(
                    said,
                    text=found.text,
                    comment=said.comment or self._comment_of(stage, found.names),
                ),
                is_known,
                missing if found.text == "" else (),
            )
        stage.variables.update(after)

    def _label(self, stage: _Stage, instruction: dockerfiles.Instruction) -> None:
        for key, raw, said in self._pairs(instruction):
            found = self._expanded(stage, raw)
            # What the builder alone knows stays as it is written, so that it is not taken for
            # a label that somebody forgot to fill.
            is_open = any(stage.arguments.get(name, "") is None for name in found.names)
            name = expansion.expand(key, self._lookup(stage), self._escape).text
            stage.labels[name] = dataclasses.replace(said, text=raw if is_open else found.text)

    def _comment_of(self, stage: _Stage, names: Sequence[str]) -> str:
        """Return the comment above the argument that a variable takes its value from."""
        said = [stage.comments[name].comment for name in names if name in stage.comments]
        return said[0] if len(said) == 1 else ""

    def _arguments(
        self, instruction: dockerfiles.Instruction, look: Callable[[str], str | None]
    ) -> list[tuple[str, str | None, images.Said]]:
        found = []
        for word in expansion.words(instruction.text, self._escape):
            name, equals, raw = word.raw.partition("=")
            value = expansion.expand(raw, look, self._escape).text if equals else None
            found.append((name, value, self._said(instruction, value or "", word.at)))
        return found

    def _argument(self, stage: _Stage, instruction: dockerfiles.Instruction) -> None:
        for name, value, said in self._arguments(instruction, self._lookup(stage)):
            is_given = value is not None
            default = value if is_given else self._globals.get(name)
            stage.arguments[name] = "" if default is None and name in _PREDEFINED else default
            above = self._comments.get(name)
            stage.comments[name] = above if above and not said.comment else said

    def _expose(self, stage: _Stage, instruction: dockerfiles.Instruction) -> None:
        for word in expansion.words(instruction.text, self._escape):
            found = self._expanded(stage, word.raw)
            said = self._said(instruction, found.text, word.at)
            match = _PORT.fullmatch(found.text)
            if match is None or not 0 < int(match[1]) <= int(match[2] or match[1]) <= 65_535:
                stage.not_ports.append(said)
                continue
            first, last = int(match[1]), int(match[2] or match[1])
            protocol = (match[3] or "tcp").lower()
            exposed = images.Exposed(first, last, protocol, said, found.names)
            if len(stage.exposed) < EXPOSED_MAX:
                stage.exposed.setdefault(f"{first}-{last}/{protocol}", exposed)

    def _copy(self, stage: _Stage, instruction: dockerfiles.Instruction) -> None:
        texts = [said.text for said in self._words(stage, instruction)]
        source = instruction.flags.get("from", "")
        origin = self._earlier(source) if source else None
        stage.copied.append(
            copies.Copied(
                sources=tuple(texts[:-1]),
                target=posixpath.normpath(posixpath.join(stage.folder, texts[-1] if texts else "")),
                is_folder=bool(texts) and (texts[-1].endswith(("/", ".")) or len(texts) > 2),
                heredocs=instruction.heredocs,
                file=self._name,
                is_foreign=bool(source) and origin is None,
                stage=origin.copied if origin else (),
                is_from_stage=origin is not None,
            )
        )


def _commands(stage: _Stage) -> list[images.Command]:
    return [command for command in (stage.entrypoint, stage.command) if command is not None]


def _image(stage: _Stage, name: str, scripts: tuple[images.Script, ...]) -> images.Image:
    return images.Image(
        name=name,
        base=stage.base,
        variables=stage.variables,
        arguments=stage.comments,
        exposed=tuple(stage.exposed.values()),
        labels=stage.labels,
        user=stage.user,
        volumes=tuple(stage.volumes),
        stop_signal=stage.stop_signal,
        health=stage.health,
        entrypoint=stage.entrypoint,
        command=stage.command,
        scripts=scripts,
        triggers=tuple(
            images.Said(one.text, f"{name}:{one.line}", one.comment) for one in stage.triggers
        ),
        begun=stage.begun,
        maintainer=stage.maintainer,
        not_ports=tuple(stage.not_ports),
    )
