#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the source package and all binary packages into the folder $1, which is emptied first. The files are those of the
# working tree, copied, so that nothing is written into it and nothing that git ignores gets into a package.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p "$1"
folder=$(realpath "$1")
find "$folder" -mindepth 1 -delete

changelog() { dpkg-parsechangelog --show-field "$1"; }
version=$(changelog Version)
name=$(changelog Source)-${version%-*}
SOURCE_DATE_EPOCH=$(changelog Timestamp)
export SOURCE_DATE_EPOCH

# An archive that depends on nothing but names and contents of the files that are read from standard input.
archive() {
  tar --create --null --no-recursion --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" \
    --owner=0 --group=0 --numeric-owner --mode=u+rwX,go=u,go-w,a-s "$@" --files-from=-
}

# Files that git knows as tracked but that are gone are not an error here: they are not part of the tree.
list() {
  git ls-files -z --cached --others --exclude-standard -- "$@" | LC_ALL=C sort -zu |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done
}

list . ':!debian' | archive --transform="s,^,$name/,S" | gzip -9n >"$folder/${name%-*}_${version%-*}.orig.tar.gz"
tar --extract --file="$folder/${name%-*}_${version%-*}.orig.tar.gz" --directory="$folder"
list debian | archive | tar --extract --directory="$folder/$name"

# Debian's own programs before those that somebody has installed besides: its Python is the one that packages are made for.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$(dirname "$(command -v swift)")
cd "$folder/$name"
dpkg-buildpackage --no-sign "${@:2}"
