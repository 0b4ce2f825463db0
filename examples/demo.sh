#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One HTTP request through a tunnel, all on this machine: curl -> engine -> agent -> a local web server, and back.
# ./dev demo builds what this needs and runs it; the argument is the folder with rstreamctl.
set -euo pipefail

rstreamctl=$1/rstreamctl
work=$(mktemp -d)
pids=()
unset "${!RSTREAM_@}" # settings of the caller's own engine

finish() {
  [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait
  rm -rf "$work"
}
trap finish EXIT

# Starts a program that goes on running and reads the line in which it says that it is ready.
start() {
  local output
  exec {output}< <(exec "$@" 2>>"$work/log")
  pids+=($!)
  if ! read -r -t 30 -u "$output" ready; then
    echo "demo: \"$*\" did not become ready:" >&2
    cat "$work/log" >&2
    exit 1
  fi
}

# The value of a name in the JSON line read last.
value() {
  sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" <<<"$ready"
}

mkdir "$work/site"
echo 'Hello from a web server that only listens on 127.0.0.1.' >"$work/site/index.html"
start python3 -u -m http.server --bind 127.0.0.1 --directory "$work/site" 0
port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' <<<"$ready")
echo "1. a web server           http://127.0.0.1:$port"

start "$rstreamctl" engine --dev --state-dir "$work/engine" --listen 127.0.0.1:0 --json
address=$(value address)
ca_file=$(value ca_file)
echo "2. rstreamctl engine      $address, with a certificate authority of its own"

start "$rstreamctl" forward "$port" --engine "$address" --ca-file "$ca_file" --protocol http --json
url=$(value forwarding)
echo "3. rstreamctl forward     $url -> tunnel -> 127.0.0.1:$port"

echo "4. curl                   $url"
echo
curl --fail --silent --show-error --max-time 30 --cacert "$ca_file" --include "$url"
echo
echo "The web server's log:     $(grep GET "$work/log")"
