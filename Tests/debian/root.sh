# SPDX-License-Identifier: Apache-2.0
# Functions for Debian systems in folders, to be sourced by test.sh. They need root.

roots=$PWD/build/roots

# Removes what is in folder $1, but never through something that is mounted there.
remove_root() {
  ! grep -q " $1/" /proc/self/mounts || fail "something is mounted below $1"
  rm -rf "$1"
}

# The mirror that this machine's apt gets Debian from.
mirror() {
  local found=${DEB_MIRROR-}
  [ -n "$found" ] || found=$(apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' | head -n 1)
  [ -n "$found" ] || fail "apt of this machine knows no Debian mirror: set DEB_MIRROR, or DEB_ROOTS=no to do without"
  echo "$found"
}

# Runs a command in root $1, with processes and mounts that end with it. What the variable toolchain names is /toolchain.
enter() {
  local root=$1
  shift
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --kill-child env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin:/toolchain/bin HOME=/root \
    LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive ${http_proxy+"http_proxy=$http_proxy"} \
    sh -euc '
      mount -t proc proc "$0/proc"
      mount -t devpts devpts "$0/dev/pts"
      [ -z "$1" ] || { mkdir -p "$0/toolchain"; mount --bind "$1" "$0/toolchain"; }
      shift
      exec chroot "$0" "$@"' "$root" "${toolchain-}" "$@"
}

# Makes the archive of a fresh Debian $1 with further packages, or finds the one of an earlier run. Prints its name.
root_archive() {
  local release=$1 archive folder=$roots/$1.new
  shift
  archive=$roots/$release-$(sha256sum <<<"$*" | cut -c 1-12).tar
  if [ ! -e "$archive" ]; then
    mkdir -p "$roots"
    rm -f "$roots/$release"-*.tar
    remove_root "$folder"
    debootstrap --variant=minbase "$release" "$folder" "$(mirror)" >&2
    echo force-unsafe-io >"$folder/etc/dpkg/dpkg.cfg.d/unsafe-io"
    enter "$folder" apt-get install -q -y --no-install-recommends "$@" >&2
    enter "$folder" apt-get clean
    tar --create --numeric-owner --file="$archive.new" --directory="$folder" .
    mv "$archive.new" "$archive"
    remove_root "$folder"
  fi
  echo "$archive"
}

# Unpacks archive $1 as root $2.
unpack_root() {
  remove_root "$2"
  mkdir -p "$2"
  tar --extract --numeric-owner --same-owner --file="$1" --directory="$2"
}

# Everything in root $1 that an installation could leave behind: names, owners and rights of files, the contents of /etc,
# users, packages. Left out are logs and caches.
inventory() {
  enter "$1" sh -euc '
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /var/log -o -path /var/cache \
      -o -path "/var/lib/dpkg/*-old" \) -prune -o -printf "%M %u:%g %p %l\n" | sort
    find /etc -type f ! -name ld.so.cache | sort | xargs sha256sum
    cat /etc/passwd /etc/group
    dpkg-query --show --showformat "\${binary:Package} \${Status}\n"'
}
