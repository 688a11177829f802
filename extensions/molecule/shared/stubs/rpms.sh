#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes RPMs of stub trees, and a repository of them; a name without a tree is an empty package.
# Usage: rpms.sh FOLDER_OF_TREES REPOSITORY NAME…
set -eu
trees=$1
repository=$2
shift 2
mkdir -p "$repository"
for name in "$@"; do
  spec=$(mktemp --suffix .spec)
  mkdir -p "$trees/$name"
  printf 'Name: %s\nVersion: 0.0.1\nRelease: stub\nSummary: stub\nLicense: GPL-3.0-or-later\nBuildArch: noarch\nAutoReqProv: no\n' "$name" >"$spec"
  printf '%%description\nstub\n%%install\nmkdir -p %%{buildroot}\ncp -r %s/. %%{buildroot}\n%%files\n' "$trees/$name" >>"$spec"
  (cd "$trees/$name" && find . -type f | sed 's/^[.]//') >>"$spec"
  rpmbuild --quiet -bb --define "_rpmdir $repository" --define "_build_id_links none" "$spec" >/dev/null
  rm "$spec"
done
createrepo_c --quiet "$repository"
