"""Make what cargo built usable from this environment: package, extension, binary, command.

In:    the folder cargo wrote to, and the environment of the running interpreter.
Out:   the extension beside the package, the binary and the command among the environment's
       scripts, the package found through a .pth file, its metadata as an install would leave it.
Not:   compiling; whatever is up to date is left untouched, so that a second run costs nothing.
Next:  `make build` calls this; a wheel is made by setuptools-rust from the same pyproject.toml.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import sysconfig
import tempfile
import tomllib
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENTRY = """\
#!{python}
import sys
from {module} import {function}
sys.exit({function}())
"""


def place(source: Path, target: Path) -> None:
    """Copy a file by rename where it differs; a process that runs the old one keeps the old one."""
    old, new = target.stat() if target.exists() else None, source.stat()
    if old is not None and (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns):
        return
    temporary = target.with_name(f".{target.name}.new")
    shutil.copy2(source, temporary)
    temporary.replace(target)
    print(f"placed {target.relative_to(ROOT) if target.is_relative_to(ROOT) else target}")


def write(target: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a text file where its content differs."""
    if not target.exists() or target.read_text() != text:
        target.write_text(text)
        target.chmod(mode)


def describe(packages: Path) -> None:
    """Leave the metadata that an install leaves, so that the version and the entry point are known.

    Made anew when pyproject.toml is younger; setuptools makes it, without compiling anything.
    """
    project = ROOT / "pyproject.toml"
    known = sorted(packages.glob("alongside-*.dist-info/METADATA"))
    if len(known) == 1 and known[0].stat().st_mtime > project.stat().st_mtime:
        return
    for old in known:
        shutil.rmtree(old.parent)
    build_meta = importlib.import_module("setuptools.build_meta")  # slow, and seldom needed

    os.chdir(ROOT)
    warnings.simplefilter("ignore")  # that [tool.distutils] may change some day
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        spoken, sys.stdout = sys.stdout, nowhere
        try:
            name = build_meta.prepare_metadata_for_build_wheel(folder)
        finally:
            sys.stdout = spoken
        shutil.copytree(Path(folder) / name, packages / name)
    (packages / name / "INSTALLER").write_text("make build\n")


def main(target: Path) -> None:
    """Place everything; `target` is cargo's target folder, of which the release builds are used."""
    scripts = Path(sysconfig.get_path("scripts"))
    packages = Path(sysconfig.get_path("purelib"))
    place(target / "release" / "lib_native.so", ROOT / "python" / "alongside" / "_native.abi3.so")
    place(target / "release" / "alongside-dataplane", scripts / "alongside-dataplane")
    write(packages / "alongside.pth", f"{ROOT / 'python'}\n")
    for name, entry in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "scripts"
    ].items():
        module, _, function = entry.partition(":")
        text = ENTRY.format(python=sys.executable, module=module, function=function)
        write(scripts / name, text, mode=0o755)
    describe(packages)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
