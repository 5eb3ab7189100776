#!/usr/bin/env bash
# Make a base for the image with Python: Debian's minimal system with its python3, as one tar.
# Needs debootstrap and root. usage: deploy/images/base.sh FILE.tar
set -euo pipefail
target=${1:?usage: deploy/images/base.sh FILE.tar}
folder=$(mktemp -d "$(dirname "$target")/.base.XXXXXX")
trap 'rm -rf "$folder"' EXIT
debootstrap --variant=minbase --include=python3 bookworm "$folder/system"
# What differs from run to run, or is of no use in an image.
rm -rf "$folder"/system/var/{cache,log,lib/apt/lists}/* "$folder"/system/usr/share/{doc,man,locale,info}/*
tar -C "$folder/system" --sort=name --numeric-owner -cf "$folder/base.tar" .
mv "$folder/base.tar" "$target"
