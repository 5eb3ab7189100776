#!/bin/sh
# Print the newest Python of at least 3.11 that can make environments; print nothing where there is none.
for candidate in ${PYTHON:-} python3.14 python3.13 python3.12 python3.11 python3 python; do
  if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    command -v "$candidate"
    exit 0
  fi
done
