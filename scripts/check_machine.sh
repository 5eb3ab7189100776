#!/usr/bin/env bash
# Name everything this machine lacks for a build, each with the command that brings it, all at once.
# Prints nothing and ends with 0 where nothing is missing; else ends with 1.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
lacks() { missing+=("  $1"$'\n'"      $2"); }

# What installs a Debian package here, or a hint for other systems.
packaged() {
  if command -v apt-get >/dev/null; then echo "apt-get install -y $1"; else echo "install $2 with your system's packages"; fi
}

python=$(sh scripts/find_python.sh)
if [ -z "$python" ]; then
  lacks "Python 3.11 or newer, with venv" "$(packaged 'python3 python3-venv' 'Python 3.11')"
fi

if ! command -v cc >/dev/null; then
  lacks "a C compiler and linker (cc)" "$(packaged 'gcc libc6-dev' 'a C compiler')"
fi

channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
if ! command -v cargo >/dev/null; then
  lacks "Rust (cargo)" "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain none   # then open a new shell"
elif command -v rustup >/dev/null; then
  # Run from elsewhere, rustup installs nothing behind our back.
  in_toolchain() { (cd / && rustup run "$channel" "$@") >/dev/null 2>&1; }
  if ! in_toolchain sh -c 'rustc --version && clippy-driver --version && rustfmt --version'; then
    if in_toolchain rustc --version; then
      lacks "Rust's clippy and rustfmt $channel" "rustup component add --toolchain $channel clippy rustfmt"
    else
      lacks "Rust $channel" "rustup toolchain install $channel --profile minimal --component clippy,rustfmt"
    fi
  fi
elif [ "$(rustc --version | cut -d' ' -f2)" != "$channel" ]; then
  lacks "Rust $channel (found $(rustc --version | cut -d' ' -f2), without rustup)" "install rustup from https://rustup.rs"
fi

if [ ${#missing[@]} -gt 0 ]; then
  echo "This machine lacks:" >&2
  printf '%s\n' "${missing[@]}" >&2
  exit 1
fi
