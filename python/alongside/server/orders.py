"""Hold an order to make files the goal of a project, and carry it between processes as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from alongside.base import errors, files
from alongside.plan import choosing
from alongside.resources import texts

if TYPE_CHECKING:
    from collections.abc import Mapping

GRACE_S = 30.0
CONSOLE = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Order:
    """Files as they were read, at least one, and how to treat them."""

    sources: tuple[texts.Source, ...]
    grace_s: float = GRACE_S
    """Before a process is killed whose own resource does not say."""
    is_named: bool = False
    """Whether the user named the project; else a folder of the same name may be meant."""
    binary: str = ""
    """The data plane's, of whoever gives the order; empty for the one that is known."""
    engine: choosing.Wish = "auto"
    """What is to run the pods."""
    images: tuple[texts.Source, ...] = ()
    """Files that say which programs stand for images."""
    console: str = CONSOLE
    """Where a new supervisor serves its page; one that is up keeps its own."""

    def to_json(self) -> Mapping[str, object]:
        """Return it as `from_json` reads it."""
        return asdict(self)

    @property
    def folder(self) -> str:
        """The folder that the project is brought up from."""
        return self.sources[0].folder

    def check_folder(self, project: str, known: str) -> None:
        """Refuse an order that would touch what another folder of the same name brought up.

        Raises:
            errors.UsageError: which folders they are, and the remedy.
        """
        if not self.is_named and known and not files.is_same_folder(known, self.folder):
            raise errors.UsageError(
                f'project "{project}" is up from {known}, and these files are in {self.folder}; '
                f"add --project NAME to run them beside it, or --project {project} to change it"
            )


@dataclass(frozen=True, slots=True)
class Applied:
    """What an order changes: the steps in words, and what in the files has no effect."""

    changes: tuple[str, ...]
    warnings: tuple[str, ...]
    restarts: tuple[str, ...] = ()
    """What is restarted, one after the other, because its program has another content now."""
    restart: int | None = None
    """The number of the roll-out that does; None where nothing is restarted."""
    engine: str = ""
    """What runs the pods; empty where there are none."""
    engine_reason: str = ""


def from_json(value: Mapping[str, object]) -> Order:
    """Return an order as another process sent it.

    Raises:
        errors.UsageError: it is none.
    """
    try:
        sources = _sources(value["sources"])
        images = _sources(value.get("images", []))
        engine = next(one for one in choosing.WISHES if one == value.get("engine", "auto"))
        grace_s = float(str(value.get("grace_s", GRACE_S)))
        order = Order(
            sources,
            grace_s,
            is_named=bool(value.get("is_named", False)),
            binary=str(value.get("binary", "")),
            engine=engine,
            images=images,
            console=str(value.get("console", CONSOLE)),
        )
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise errors.UsageError(
            "not an order to apply; send {sources: [{file, folder, text}], grace_s, is_named, "
            "binary, engine, images: [{file, folder, text}], console}"
        ) from error
    if not order.sources:
        raise errors.UsageError("an order to apply without files; send at least one source")
    return order


def _sources(value: object) -> tuple[texts.Source, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError("no list of sources")
    return tuple(
        texts.Source(str(one["file"]), str(one["folder"]), str(one["text"])) for one in value
    )
