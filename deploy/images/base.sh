#!/usr/bin/env bash
# Make a base for the image with Python: Debian's minimal system with its python3, and other packages if named, as one tar.
# Needs debootstrap and root. The same packages give nearly the same bytes; which packages, the mirror says.
# usage: deploy/images/base.sh FILE.tar [PACKAGE,...]
set -euo pipefail
target=${1:?usage: deploy/images/base.sh FILE.tar [PACKAGE,...]}
folder=$(mktemp -d "$(dirname "$target")/.base.XXXXXX")
trap 'rm -rf "$folder"' EXIT
debootstrap --variant=minbase --include="python3${2:+,$2}" bookworm "$folder/system"
# What is of this machine or this run, or of no use in an image; licences stay, and the folders that programs log into.
rm -rf "$folder"/system/var/{cache,lib/apt/lists}/* "$folder"/system/usr/share/{man,locale,info}/*
find "$folder/system/var/log" -type f -delete
find "$folder/system/usr/share/doc" -type f ! -name copyright -delete
: >"$folder/system/etc/hostname"
: >"$folder/system/etc/resolv.conf"
tar -C "$folder/system" --sort=name --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-0}" -cf "$folder/base.tar" .
mv "$folder/base.tar" "$target"
