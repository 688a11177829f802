#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes Debian packages of stub trees, and a flat repository of them. Usage: debs.sh FOLDER_OF_TREES REPOSITORY NAME…
set -eu
trees=$1
repository=$2
shift 2
mkdir -p "$repository"
: >"$repository/Packages"
for name in "$@"; do
  made=$(mktemp -d)
  cp -r "$trees/$name/." "$made"
  chmod 755 "$made"
  mkdir "$made/DEBIAN"
  printf 'Package: %s\nVersion: 0.0.1-stub\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: stub\n' \
    "$name" >"$made/DEBIAN/control"
  dpkg-deb --root-owner-group --build "$made" "$repository/$name.deb" >/dev/null
  rm -r "$made"
  {
    dpkg-deb --field "$repository/$name.deb"
    printf 'Filename: ./%s.deb\nSize: %s\nSHA256: %s\n\n' "$name" "$(stat -c %s "$repository/$name.deb")" \
      "$(sha256sum "$repository/$name.deb" | cut -d' ' -f1)"
  } >>"$repository/Packages"
done
