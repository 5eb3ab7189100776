"""Draft the contracts of the Dockerfiles of the tests, as `contract init` does.

`python -m tests.contract.drafts` writes the drafts anew; read the difference before it is kept.
"""

from __future__ import annotations

from pathlib import Path

from alongside.base import environment
from alongside.contract.drafting import checking, drafting, sources, writing

FOLDER = Path(__file__).parent / "dockerfiles"
NAMES = tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir()))


def dockerfile(name: str) -> Path:
    """Return the Dockerfile of that name."""
    return next(path for path in (FOLDER / name).iterdir() if path.name.endswith("file"))


def draft(name: str) -> drafting.Draft:
    """Return the draft of a Dockerfile's contract."""
    path = str(dockerfile(name))
    image = sources.image(path, sources.Wishes(), environment.Environment())
    return drafting.draft(image, sources.component(path))


def drafted(name: str) -> str:
    """Return the same as `contract init` writes it."""
    return writing.text(draft(name), dockerfile(name).name)


def lacking(name: str) -> str:
    """Return what `contract check` says of a Dockerfile."""
    image = sources.image(str(dockerfile(name)), sources.Wishes(), environment.Environment())
    return "".join(f"{finding.line}\n" for finding in checking.check(image))


def main() -> None:
    """Write every draft and every finding beside its Dockerfile."""
    for name in NAMES:
        (FOLDER / name / "draft.yaml").write_text(drafted(name))
        (FOLDER / name / "lacking.txt").write_text(lacking(name))


if __name__ == "__main__":
    main()
