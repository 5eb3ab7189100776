"""Make the wheel, install it where there is no Rust, and run what it brings."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "python/**/*.py",
    "python/**/*.pyi",
    "rust/**/*.rs",
    "rust/**/*.toml",
    "*.toml",
    "*.lock",
)
# Neither cargo nor rustc, nor anything of ours, is found here.
BARE_PATH = "/usr/bin:/bin"


def wheel(folder: Path) -> Path:
    """Return a wheel of the tree as it is: that of `make wheel`, or a new one if it is stale."""
    youngest = max(path.stat().st_mtime for glob in SOURCES for path in ROOT.glob(glob))
    made = sorted((ROOT / "dist").glob("alongside-*.whl"))
    if len(made) == 1 and made[0].stat().st_mtime > youngest:
        return made[0]
    subprocess.run([ROOT / "scripts" / "wheel.sh", folder], check=True)
    (built,) = folder.glob("alongside-*.whl")
    return built


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment into which the wheel, and what it requires, was installed."""

    folder: Path

    def script(self, name: str) -> Path:
        """Return the path of a command of the environment."""
        return self.folder / "bin" / name

    def variables(self) -> dict[str, str]:
        """Return a small environment for processes: the bare path and a home of their own."""
        return {"PATH": BARE_PATH, "HOME": str(self.folder)}

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment to its end."""
        return subprocess.run(
            [self.script(name), *arguments],
            env=self.variables(),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[None]:
        """Keep an `alongside` command running, and end it and wait for it afterwards."""
        process = subprocess.Popen(
            [self.script("alongside"), *arguments],
            env=self.variables(),
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def install(built: Path, folder: Path, *, python: str = sys.executable) -> Installed:
    """Install a wheel and its requirements into a new environment of an interpreter."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", folder / "bin" / "python"),
            *("--disable-pip-version-check", "install", "--quiet"),
            *("-c", ROOT / "constraints.txt", built),
        ],
        check=True,
    )
    return Installed(folder)
