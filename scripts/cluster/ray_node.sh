#!/usr/bin/env bash
# ray_node.sh RAY start --block OPTIONS: Ray in a folder that nobody else can read and that goes
# with it. Ends Ray when it is asked to end.
set -euo pipefail
umask 077
folder=$(mktemp -d /tmp/sieve-XXXXXX)
trap 'rm -rf "$folder"' EXIT
# Ray opens its own folder to everybody; nobody gets through the one around it.
"$@" --temp-dir="$folder/ray" &
ray=$!
# shellcheck disable=SC2329  # called by the trap
ask() {
    signalled=1
    kill "$ray" 2>/dev/null || true
}
trap ask TERM INT
# A signal interrupts the wait; Ray then ends, and is waited for again.
while :; do
    signalled=
    status=0
    wait "$ray" || status=$?
    [ -n "$signalled" ] || break
done
exit "$status"
