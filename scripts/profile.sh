#!/usr/bin/env bash
# Make the data plane's profile anew: build it with counters, let the benches use it, and pack what was counted.
#   scripts/profile.sh
# Due with another compiler or other crates, and worth it after a change of the hot paths. Takes some ten minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$PWD/target/counted
channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
host=$(rustc -vV | sed -n 's/^host: //p')
merge=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
command -v xz >/dev/null || { echo "xz is missing; install xz-utils" >&2; exit 1; }
if [ ! -x "$merge" ]; then
  echo "llvm-profdata is missing; install it with: rustup component add --toolchain $channel llvm-tools" >&2
  exit 1
fi

RUSTFLAGS="-Cprofile-generate=$folder/counts" CARGO_TARGET_DIR=$folder/target \
  cargo build --release --locked --manifest-path rust/dataplane/Cargo.toml --bin alongside-dataplane
rm -rf "$folder/counts" # of what cargo ran while it built
for bench in http memcache; do
  .venv/bin/python -m bench.$bench --rounds 1 --seconds 1 --busy \
    --binary "$folder/target/release/alongside-dataplane" --output "$folder/$bench.json"
done
"$merge" merge --output "$folder/usage.profdata" "$folder/counts"
xz -9e --stdout "$folder/usage.profdata" > "$folder/usage.profdata.xz"
mv "$folder/usage.profdata.xz" rust/dataplane/
.venv/bin/python scripts/rust_flags.py --note
ls -l rust/dataplane
