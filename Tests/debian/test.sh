#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Debian packages: built twice with the same bytes, clean for lintian, installed, used and purged in a fresh Debian 12,
# and its service started there by systemd. With DEB_RELEASES="bookworm trixie" the same in Debian 13, with packages that
# are built there: it has other versions of libraries, ngtcp2 and nghttp3 among them.
#
# The Debian systems are folders below build/roots and take root. DEB_ROOTS=no leaves them out, DEB_MIRROR names another
# mirror than that of this machine's apt.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
  echo "deb: $*" >&2
  exit 1
}

source Tests/debian/root.sh

step() { echo "-- $*"; }

# Shows a log only when the command fails that writes it.
quietly() {
  local log=build/$1.log
  shift
  mkdir -p build
  "$@" >"$log" 2>&1 || {
    tail -n 60 "$log"
    fail "\"$*\" failed: $log"
  }
}

# Where the packages of the release are that is being looked at.
folder=build/deb

packages() { find "$folder" -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*' | sort; }
names() { packages | xargs -n 1 basename | cut -d _ -f 1; }

# What the packages and their tests need of Debian: the -dev packages bring the libraries.
dependencies() {
  {
    sed -n '/^Build-Depends:/,/^[A-Z]/p' debian/control | grep -o 'lib[^ ,]*-dev'
    sed -n 's/^Depends: //p' debian/tests/control | tr -d ' ' | tr ',' '\n'
  } | sort -u | grep -vxF "$(sed -n 's/^Package: //p' debian/control)"
}

build_again() {
  # Another folder with a longer name, and everything different that a machine might differ in.
  (umask 027 && TZ=Asia/Tokyo LC_ALL=C HOME=/nonexistent USER=somebody DEB_BUILD_OPTIONS=nocheck \
    debian/build.sh build/deb-in-another-folder --build=binary)
}

same_bytes() {
  local package
  for package in build/deb/*.deb; do
    cmp "$package" "build/deb-in-another-folder/${package##*/}" || fail "two builds differ: compare them with diffoscope"
  done
}

# Runs test $2 of debian/tests in root $1, as autopkgtest would.
run_packaged_test() {
  step "debian/tests/$2"
  quietly "deb-test-$2" enter "$1" sh -euc '
    AUTOPKGTEST_TMP=$(mktemp -d)
    export AUTOPKGTEST_TMP
    cd /source
    "debian/tests/$0"
    rm -rf "$AUTOPKGTEST_TMP"' "$2"
}

# Tests of debian/tests that run without an own init.
packaged_tests() { awk '/^Tests:/ { name = $2 } /^Restrictions:.*isolation-container/ { name = "" }
  /^$/ { if (name) print name; name = "" } END { if (name) print name }' debian/tests/control; }

install_packages() {
  mkdir -p "$1/packages"
  cp $(packages) "$1/packages"
  quietly deb-install enter "$1" sh -euc 'apt-get install -q -y --no-install-recommends /packages/*.deb'
  rm -r "$1/packages"
}

purge_packages() {
  quietly deb-purge enter "$1" apt-get purge -q -y $(names)
}

use_packages() {
  local root=$1 test
  step "installing in ${root##*/}"
  inventory "$root" >"$root.before"
  install_packages "$root"
  dpkg-source --no-check --no-copy --extract build/deb/*.dsc "$root/source" >/dev/null
  cp README.md Tests/debian/readme.sh "$root/tmp"
  step "the README's program"
  quietly deb-readme enter "$root" /tmp/readme.sh /tmp/README.md
  for test in $(packaged_tests); do run_packaged_test "$root" "$test"; done
  step "purging"
  rm -r "$root/source" "$root/tmp/README.md" "$root/tmp/readme.sh"
  purge_packages "$root"
  inventory "$root" >"$root.after"
  diff "$root.before" "$root.after" || fail "the packages leave behind or take away what diff shows"
}

# Boots root $1 without network, in which debian/tests/service runs, and purges the packages while systemd is there.
use_service() {
  local root=$1
  step "the service in ${root##*/}"
  install_packages "$root"
  enter "$root" systemd-analyze verify --man=no rstream-engine.service
  quietly deb-security enter "$root" systemd-analyze security --offline=yes --threshold=20 rstream-engine.service
  dpkg-source --no-check --no-copy --extract build/deb/*.dsc "$root/source" >/dev/null
  cat >"$root/run-test" <<SCRIPT
#!/bin/sh
echo begun >/result
mkdir /tmp/test
cd /source
AUTOPKGTEST_TMP=/tmp/test debian/tests/service >/output 2>&1 && echo passed >/result
apt-get purge -q -y $(names | xargs) >>/output 2>&1 || echo purge >/result
systemctl list-unit-files 'rstream*' --no-legend >>/result
find / -xdev -path /source -prune -o \( -name 'rstream*' -o -name 'librstream*' \) ! -path '/proc/*' ! -path '/sys/*' -print >>/result
getent passwd rstream-engine >>/result
systemctl poweroff
SCRIPT
  chmod +x "$root/run-test"
  printf '[Service]\nExecStart=/run-test\n[Install]\nWantedBy=multi-user.target\n' >"$root/etc/systemd/system/test.service"
  enter "$root" systemctl enable -q test.service
  timeout 180 systemd-nspawn --quiet --directory="$root" --boot --private-network --register=no --keep-unit \
    </dev/null >build/deb-boot.log 2>&1 || true
  if [ ! -e "$root/result" ]; then
    echo "   left out: systemd-nspawn boots no container on this machine, see build/deb-boot.log"
    return
  fi
  cp "$root/output" build/deb-test-service.log
  [ "$(cat "$root/result")" = passed ] || {
    cat "$root/output" "$root/result"
    fail "the service fails, or leaves behind what the last lines name"
  }
}

# Builds the packages in root $1 with what its Debian has and with this machine's Swift toolchain, and puts them into
# folder $2; the C tests run.
build_from_source() {
  local root=$1 toolchain
  toolchain=$(dirname "$(dirname "$(realpath "$(command -v swift)")")")
  step "building in ${root##*/}"
  mkdir "$root/build"
  dpkg-source --no-check --no-copy --extract build/deb/*.dsc "$root/build/source" >/dev/null
  quietly deb-build-dep enter "$root" sh -euc '
    apt-get update -q
    apt-get install -q -y --no-install-recommends build-essential
    apt-get build-dep -q -y --no-install-recommends /build/source'
  quietly "deb-build-${root##*/}" enter "$root" sh -euc 'cd /build/source && dpkg-buildpackage --no-sign --build=binary'
  rm -rf "$2"
  mkdir "$2"
  cp "$root"/build/*.deb "$2"
}

roots_wanted=yes
if [ "${DEB_ROOTS-}" = no ]; then
  roots_wanted="DEB_ROOTS=no"
elif [ "$(id -u)" != 0 ]; then
  roots_wanted="that takes root"
elif ! unshare --mount --pid --fork mount -t tmpfs none /mnt 2>/dev/null; then
  roots_wanted="this machine does not let root mount, as most containers"
fi

step "building twice"
read -r -a releases <<<"${DEB_RELEASES-bookworm}"
mapfile -t wanted < <(dependencies)
background=()
quietly deb-again build_again &
background+=($!)
if [ "$roots_wanted" = yes ]; then
  for release in "${releases[@]}"; do
    quietly "deb-root-$release" root_archive "$release" "${wanted[@]}" &
    background+=($!)
  done
fi
quietly deb-build ./dev deb
for job in "${background[@]}"; do wait "$job"; done
same_bytes

if [ "$roots_wanted" != yes ]; then
  echo "deb: built, the same twice, clean for lintian. Left out: installing in a fresh Debian ($roots_wanted)"
  exit 0
fi
for release in "${releases[@]}"; do
  archive=$(root_archive "$release" "${wanted[@]}")
  folder=build/deb
  if [ "$release" != bookworm ]; then
    unpack_root "$archive" "$roots/$release-building"
    build_from_source "$roots/$release-building" "build/deb-$release"
    remove_root "$roots/$release-building"
    folder=build/deb-$release
  fi
  unpack_root "$archive" "$roots/$release"
  use_packages "$roots/$release"
  unpack_root "$archive" "$roots/$release-booted"
  use_service "$roots/$release-booted"
  remove_root "$roots/$release"
  remove_root "$roots/$release-booted"
done
