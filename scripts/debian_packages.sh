#!/usr/bin/env bash
# Install the Debian packages that tests need where that is allowed; else print the one line that would.
# Never fails the build for a missing package: the tests that need it are skipped, each with its reason.
# Allowed: as root, where INSTALL is not 0. Nothing is started, now or at the next boot, and nothing asks.
set -euo pipefail
cd "$(dirname "$0")/.."
list=${1:-scripts/debian-packages.txt}

packages=() commands=()
while read -r package command _; do
  command -v "$command" >/dev/null && continue
  [ -x "/usr/sbin/$command" ] && continue
  packages+=("$package") commands+=("$command")
done < <(sed 's/#.*//; /^[[:space:]]*$/d' "$list")
[ ${#packages[@]} -gt 0 ] || exit 0

line="apt-get install -y --no-install-recommends ${packages[*]}"
wait_for() {
  echo "Debian packages are missing; tests marked as needing ${commands[*]} are skipped until:" >&2
  echo "    $line" >&2
}
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ] || [ "${INSTALL:-1}" = 0 ]; then
  wait_for
  exit 0
fi

# The packages' own scripts find these empty commands first, so that no service is started, stopped or restarted.
quiet=$(mktemp -d)
trap 'rm -rf "$quiet"' EXIT
for starter in invoke-rc.d deb-systemd-invoke service systemctl start-stop-daemon; do
  printf '#!/bin/sh\nexit 0\n' >"$quiet/$starter"
  chmod +x "$quiet/$starter"
done
export DEBIAN_FRONTEND=noninteractive
apt() { PATH="$quiet:$PATH" apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >>"$quiet/log" 2>&1; }

listed() { ls /etc/init.d 2>/dev/null || true; }
services=$(listed)
echo "installing ${packages[*]} (INSTALL=0 forbids it)"
if ! apt install --no-install-recommends "${packages[@]}"; then
  if ! { apt update && apt install --no-install-recommends "${packages[@]}"; }; then
    tail -n 5 "$quiet/log" >&2
    wait_for
    exit 0
  fi
fi
comm -13 <(echo "$services") <(listed) | while read -r service; do
  update-rc.d "$service" disable >/dev/null 2>&1 || echo "cannot disable $service at boot" >&2
done
