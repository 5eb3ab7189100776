"""Rules of what a component needs and leaves around it: files, volumes, its user, privileges."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from alongside.contract.compare import changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.contract import promise

_BREAKING, _NOTICE, _INFO = changes.Severity
_rule = functools.partial(changes.rule, hurts=changes.Direction.RUNS)


_WORDS = "where only the words changed, accept the change with a note"

COMPONENT_RENAMED = _rule(
    "component-renamed",
    _BREAKING,
    "it is called something else, or is another component",
    instead="compare two contracts of one component; keep the name",
)
FILE_REMOVED = _rule(
    "file-removed",
    _BREAKING,
    "the file is no longer read or written there",
    "file-added",
    instead="go on using the path, if only as a link",
)
FILE_ADDED = _rule("file-added", _INFO, "another file is read or written", "file-removed")
FILE_ACCESS_CHANGED = _rule(
    "file-access-changed",
    _BREAKING,
    "it does something else with the file",
    instead=f"keep what it did; {_WORDS}",
)
FILE_OWNER_CHANGED = _rule(
    "file-owner-changed",
    _BREAKING,
    "who could read or write the file may not be allowed to",
    instead="keep the owner, or make it a parameter",
)
FILE_MODE_CHANGED = _rule(
    "file-mode-changed",
    _BREAKING,
    "who could read or write the file may not be allowed to, or too many are",
    instead="keep the mode, or make it a parameter",
)
FILE_PUBLICATION_CHANGED = _rule(
    "file-publication-changed",
    _BREAKING,
    "a reader may see half a file, or go on reading the old one",
    instead="keep the way that readers rely on",
)
FILE_MORE_PROMISED = _rule(
    "file-more-promised",
    _INFO,
    "its mode or the way it is replaced may be relied upon",
    "file-less-promised",
)
FILE_LESS_PROMISED = _rule(
    "file-less-promised",
    _BREAKING,
    "its mode or the way it is replaced is no longer promised",
    "file-more-promised",
    instead="go on promising it",
)
VOLUME_REMOVED = _rule(
    "volume-removed",
    _BREAKING,
    "what is mounted there is no longer used; what was kept there is not found",
    "volume-added",
    "required-volume-added",
    instead="go on using what is found there",
)
VOLUME_ADDED = _rule("volume-added", _INFO, "something can be mounted there", "volume-removed")
REQUIRED_VOLUME_ADDED = _rule(
    "required-volume-added",
    _BREAKING,
    "it does not work unless something is mounted there",
    "volume-removed",
    instead="work without it",
)
VOLUME_MADE_REQUIRED = _rule(
    "volume-made-required",
    _BREAKING,
    "it does not work any more unless something is mounted there",
    "volume-made-optional",
    instead="work without it",
)
VOLUME_MADE_OPTIONAL = _rule(
    "volume-made-optional", _INFO, "nothing has to be mounted there", "volume-made-required"
)
PRIVILEGE_ADDED = _rule(
    "privilege-added",
    _BREAKING,
    "it fails until somebody allows it more",
    "privilege-removed",
    instead="do without it where it is not granted",
)
PRIVILEGE_REMOVED = _rule(
    "privilege-removed", _INFO, "it needs less, which can be taken from it", "privilege-added"
)
USER_CHANGED = _rule(
    "user-changed",
    _BREAKING,
    "what belongs to the old user may be closed to the new one, and the other way round",
    instead="keep the user of the image",
)
RULES = (
    COMPONENT_RENAMED,
    FILE_REMOVED,
    FILE_ADDED,
    FILE_ACCESS_CHANGED,
    FILE_OWNER_CHANGED,
    FILE_MODE_CHANGED,
    FILE_PUBLICATION_CHANGED,
    FILE_MORE_PROMISED,
    FILE_LESS_PROMISED,
    VOLUME_REMOVED,
    VOLUME_ADDED,
    REQUIRED_VOLUME_ADDED,
    VOLUME_MADE_REQUIRED,
    VOLUME_MADE_OPTIONAL,
    PRIVILEGE_ADDED,
    PRIVILEGE_REMOVED,
    USER_CHANGED,
)


def judge(old: promise.Contract, new: promise.Contract) -> Iterator[changes.Change]:
    """Yield every change of the surroundings."""
    if old.component != new.component:
        yield changes.Change(COMPONENT_RENAMED, "component", old.component, new.component)
    if old.user != new.user:
        yield changes.Change(USER_CHANGED, "user", old.user, new.user)
    yield from _files(old.files, new.files)
    yield from _volumes(old.volumes, new.volumes)
    privileges = changes.matched(
        changes.named((one.name, one.description) for one in old.privileges),
        changes.named((one.name, one.description) for one in new.privileges),
    )
    for name, description in privileges.gone:
        yield changes.Change(PRIVILEGE_REMOVED, f"privilege {name}", description, "")
    for name, description in privileges.come:
        yield changes.Change(PRIVILEGE_ADDED, f"privilege {name}", "", description)


def _files(old: Sequence[promise.File], new: Sequence[promise.File]) -> Iterator[changes.Change]:
    files = changes.matched(
        *(changes.named((one.path, one) for one in each) for each in (old, new))
    )
    for path, file in files.gone:
        yield changes.Change(FILE_REMOVED, f"file {path}", file.description, "")
    for path, file in files.come:
        yield changes.Change(FILE_ADDED, f"file {path}", "", file.description)
    for path, before, after in files.kept:
        yield from _file(f"file {path}", before, after)


def _file(where: str, old: promise.File, new: promise.File) -> Iterator[changes.Change]:
    if not changes.same_words(old.access, new.access):
        yield changes.Change(FILE_ACCESS_CHANGED, where, old.access, new.access)
    if old.owner != new.owner:
        own = "the user that it runs as"
        yield changes.Change(FILE_OWNER_CHANGED, where, old.owner or own, new.owner or own)
    if old.mode.lstrip("0") != new.mode.lstrip("0"):
        yield _promised(FILE_MODE_CHANGED, f"mode of {where}", old.mode, new.mode)
    if not changes.same_words(old.publication, new.publication):
        place = f"publication of {where}"
        yield _promised(FILE_PUBLICATION_CHANGED, place, old.publication, new.publication)


def _promised(changed: changes.Rule, where: str, old: str, new: str) -> changes.Change:
    """Return a change of what need not be said at all."""
    if old and new:
        return changes.Change(changed, where, old, new)
    return changes.Change(FILE_LESS_PROMISED if old else FILE_MORE_PROMISED, where, old, new)


def _volumes(
    old: Sequence[promise.Volume], new: Sequence[promise.Volume]
) -> Iterator[changes.Change]:
    volumes = changes.matched(
        *(changes.named((one.path, one) for one in each) for each in (old, new))
    )
    for path, volume in volumes.gone:
        yield changes.Change(VOLUME_REMOVED, f"volume {path}", volume.description, "")
    for path, volume in volumes.come:
        rule = REQUIRED_VOLUME_ADDED if volume.is_required else VOLUME_ADDED
        yield changes.Change(rule, f"volume {path}", "", volume.description)
    for path, before, after in volumes.kept:
        if before.is_required != after.is_required:
            rule = VOLUME_MADE_REQUIRED if after.is_required else VOLUME_MADE_OPTIONAL
            words = ["required" if one.is_required else "optional" for one in (before, after)]
            yield changes.Change(rule, f"volume {path}", *words)
