#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds fuzz targets with libFuzzer and AddressSanitizer: Tests/fuzz/build.sh NAME... makes build/fuzz/NAME and, from
# the seeds, build/fuzz/NAME.corpus. To run one:
#
#     SWIFT_BACKTRACE=enable=no build/fuzz/NAME -max_total_time=60 build/fuzz/NAME.corpus
#
# (Swift's own crash handler hangs on what AddressSanitizer shows it.)
#
# A target is a folder here with Swift files, `modules`: the folders of Sources/ that it imports, each after those it
# needs itself, one a line, a folder of Sources/System followed by the libraries to link, and `seeds`: inputs, one a
# line, in hexadecimal digits or, after a quotation mark, as text with the escapes of printf's %b.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# -gt 0 ] || {
  echo "usage: $0 NAME...   with NAME one of:" Tests/fuzz/*/ >&2
  exit 2
}

clang="$(dirname "$(realpath "$(command -v swiftc)")")/clang"
# What a target looks at need not be public.
flags=(-O -g -swift-version 6 -enable-testing -use-ld=lld -parse-as-library -sanitize=fuzzer,address)

out=build/fuzz/modules
declare -A built

# Builds a folder of Sources/System; what is compiled and linked with it is added to `objects` and `linked`.
build_system() {
  local folder=$1 name=${1##*/} source library
  mkdir -p "$out/C$name"
  if [ -z "${built[$folder]-}" ]; then
    echo "module C$name { header \"$(realpath "Sources/$folder/include/C$name.h")\" export * }" \
      >"$out/C$name/module.modulemap"
    for source in Sources/"$folder"/*.c; do
      "$clang" -c -g -fsanitize=address -I "Sources/$folder/include" "$source" -o "$out/C$name/$(basename "$source").o"
    done
    built[$folder]=1
  fi
  objects+=("$out/C$name"/*.o)
  found+=(-I "$out/C$name")
  for library in "${@:2}"; do linked+=("-l$library"); done
}

# Builds another folder of Sources/.
build_module() {
  local sources
  if [ -z "${built[$1]-}" ]; then
    mapfile -t sources < <(find "Sources/$1" -name '*.swift')
    swiftc "${flags[@]}" -wmo -module-name "Rstream$1" -emit-module -emit-module-path "$out/Rstream$1.swiftmodule" \
      -I "$out" "${found[@]}" -c "${sources[@]}" -o "$out/Rstream$1.o"
    built[$1]=1
  fi
  objects+=("$out/Rstream$1.o")
}

build_target() {
  local target=$1 folder libraries objects=() found=() linked=()
  while read -r folder libraries; do
    # shellcheck disable=SC2086 # one word for each library
    if [[ $folder == */* ]]; then build_system "$folder" $libraries; else build_module "$folder"; fi
  done <"Tests/fuzz/$target/modules"
  swiftc "${flags[@]}" -module-name "Fuzz_$target" -I "$out" "${found[@]}" Tests/fuzz/"$target"/*.swift "${objects[@]}" \
    "${linked[@]}" -o "build/fuzz/$target"
}

build_corpus() {
  local line number=0
  mkdir -p "build/fuzz/$1.corpus"
  while IFS= read -r line; do
    [[ $line == \#* ]] && continue
    number=$((number + 1))
    if [[ $line == \"* ]]; then
      printf '%b' "${line#\"}" >"build/fuzz/$1.corpus/seed-$number"
    else
      # shellcheck disable=SC2059 # the digits are made into escapes on purpose
      printf "$(sed 's/../\\x&/g' <<<"$line")" >"build/fuzz/$1.corpus/seed-$number"
    fi
  done <"Tests/fuzz/$1/seeds"
}

rm -rf "$out"
mkdir -p "$out"
for target; do
  [ -f "Tests/fuzz/$target/modules" ] || {
    echo "$0: there is no target $target" >&2
    exit 2
  }
  build_target "$target"
  build_corpus "$target"
done
