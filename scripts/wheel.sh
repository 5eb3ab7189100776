#!/usr/bin/env bash
# Build the wheel into a folder. Uses cargo's usual target folder, so that it costs little after `make build`.
#   scripts/wheel.sh FOLDER
set -euo pipefail
folder=$(realpath -m "${1:?where to put the wheel}")
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python

# setuptools copies into build/lib and never removes: a module deleted since would still be shipped.
rm -rf build/lib* build/bdist.*
# As `make build` has them, so that cargo finds nothing changed.
RUSTFLAGS=$("$python" scripts/rust_flags.py "${CARGO_TARGET_DIR:-target}")
export RUSTFLAGS PYO3_PYTHON=$python PYO3_BUILD_EXTENSION_MODULE=1
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$folder" .
