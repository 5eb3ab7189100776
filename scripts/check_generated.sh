#!/usr/bin/env bash
# Check that every generated file is what its source makes today; each check says how to refresh it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python

"$python" -m alongside.contract --check docs/contracts
"$python" schema/generate.py --check
"$python" scripts/document_reference.py --check
"$python" scripts/crates.py --check
"$python" scripts/contract_rules.py --check
