#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles the README's program as the README says, against the installed library, and publishes a web server with it.
# The first argument is the README. Runs in a Debian that has the packages and nothing else of the project.
set -euo pipefail
readme=$(realpath "$1")
work=$(mktemp -d)
cd "$work"
pids=()
trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$work"' EXIT

sed -n '/^```c$/,/^```$/{ /^```$/q; /^```/!p }' "$readme" >publish.c
compilation=$(sed -n 's/^    \(cc publish\.c .*\)$/\1/p' "$readme")
echo "$compilation"
sh -euc "$compilation -Wall -Wextra -Werror"

mkdir site
echo published >site/index.html
exec {web}< <(exec python3 -u -m http.server --bind 127.0.0.1 --directory site 0 2>/dev/null)
pids+=($!)
read -r -t 30 -u "$web" line
port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' <<<"$line")

exec {engine}< <(exec rstreamctl engine --dev --state-dir "$work/state" --listen 127.0.0.1:0 --json)
pids+=($!)
read -r -t 30 -u "$engine" line
RSTREAM_ENGINE=$(sed -n 's/.*"address": *"\([^"]*\)".*/\1/p' <<<"$line")
RSTREAM_CA_FILE=$work/state/ca.pem
export RSTREAM_ENGINE RSTREAM_CA_FILE

exec {publish}< <(exec ./publish "$port" 2>&1)
pids+=($!)
read -r -t 30 -u "$publish" url
answer=$(curl --fail --silent --show-error --max-time 30 --cacert "$RSTREAM_CA_FILE" "$url")
[ "$answer" = published ]
echo "$url answers through the tunnel"
