#!/bin/sh
# SPDX-License-Identifier: MIT
# Run the public probe cases against the probe server over real sockets.
#   probe_test.sh PROBE_SERVER POLLER
# Skipped (77) without SLUICE_SUITES, python3, or where the poller is not allowed.
set -u
server=$1
poller=$2
[ -n "${SLUICE_SUITES:-}" ] && [ -f "$SLUICE_SUITES/tools/http_probe.py" ] || { echo skipped; exit 77; }
command -v python3 >/dev/null || { echo skipped; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$server" 0 "$poller" >"$dir/port" 2>"$dir/err" &
pid=$!
i=0
while [ ! -s "$dir/port" ] && kill -0 $pid 2>/dev/null && [ $i -lt 100 ]; do
    sleep 0.05
    i=$((i + 1))
done
if [ ! -s "$dir/port" ]; then
    cat "$dir/err"
    wait $pid
    exit $?
fi
port=$(cat "$dir/port")
python3 "$SLUICE_SUITES/tools/http_probe.py" 127.0.0.1 "$port" "$SLUICE_SUITES/http1/probe.json" --jobs 8
result=$?
kill -TERM $pid
wait $pid
drained=$?
cat "$dir/err"
[ $drained -eq 0 ] || { echo "the server did not end well: $drained"; exit 1; }
exit $result
