# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# What an engine needs of the distribution.

readonly PACKAGES=(docker.io slirp4netns iproute2 iptables mmdebstrap)
readonly COMMANDS=(dockerd slirp4netns ip iptables mmdebstrap)
readonly NEWER_SUITE=trixie # Debian 12 has no buildx and no cosign; these two need nothing of Debian 13 but its libc's age
readonly TOOLS=$ENGINES/.tools
readonly POLICY=/usr/sbin/policy-rc.d
export PATH=$PATH:/usr/sbin:/sbin

need_packages() {
  [ -z "$(missing)" ] || one_by_one install_packages
}

missing() {
  local command
  for command in "${COMMANDS[@]}"; do
    command -v "$command" >/dev/null || printf '%s ' "$command"
  done
}

# Several engines may come up at once; apt's lock on its lists waits for nobody.
one_by_one() (
  exec 8>/run/lock/fleet-engine
  flock 8
  "$@"
)

install_packages() {
  local lacking
  lacking=$(missing)
  [ -n "$lacking" ] || return 0 # another engine has brought them
  command -v apt-get >/dev/null || die "missing: ${lacking% }. Install them, or name a Docker engine in DOCKER_HOST."
  say "installing ${PACKAGES[*]} with apt, because these commands are missing: ${lacking% } (no daemon is started)"
  trap restore_policy EXIT
  forbid_daemons
  apt-get update -qq </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 \
    "${PACKAGES[@]}" </dev/null >/dev/null
}

# Debian starts what it installs, unless policy-rc.d says no.
forbid_daemons() {
  [ -e "$POLICY" ] && return
  printf '#!/bin/sh\n# fleet-engine\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
}

restore_policy() {
  if grep -qs '^# fleet-engine$' "$POLICY"; then rm -f "$POLICY"; fi
}

# The mirror that this machine takes Debian from; apt knows it once it has lists.
mirror() {
  local found
  found=$(known_mirror)
  [ -n "$found" ] || {
    one_by_one apt-get update -qq </dev/null >&2
    found=$(known_mirror)
  }
  [ -n "$found" ] || die "apt has no source of Debian packages. Add one to /etc/apt/sources.list.d."
  printf '%s\n' "$found"
}

known_mirror() {
  apt-get indextargets --format "\$(REPO_URI) \$(LABEL)" 'Identifier: Packages' \
    | awk '$2 == "Debian" && !found { print $1; found = 1 }'
}

need_plugins() {
  [ -x "$TOOLS/docker-buildx" ] && [ -x "$TOOLS/cosign" ] || one_by_one fetch_tools
  mkdir -p "$WORK/config/cli-plugins" "$WORK/bin"
  ln -sf "$TOOLS/docker-buildx" "$WORK/config/cli-plugins/docker-buildx"
  write_wrapper cosign "$TOOLS/cosign"
}

# Where the registry's name resolves: in the engine's namespaces.
write_wrapper() {
  printf '#!/bin/sh\nexec %q exec %q %q "$@"\n' "$PWD/scripts/engine/engine.sh" "$NAME" "$2" >"$WORK/bin/$1"
  chmod 755 "$WORK/bin/$1"
}

fetch_tools() {
  [ ! -x "$TOOLS/docker-buildx" ] || [ ! -x "$TOOLS/cosign" ] || return 0
  say "fetching docker-buildx and cosign of Debian $NEWER_SUITE into build/ (this Debian has none)"
  local state=$TOOLS/apt
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/root"
  : >"$state/status"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$(mirror)" "$NEWER_SUITE" \
    >"$state/sources.list"
  private_apt "$state" update -qq
  (cd "$state/cache" && private_apt "$state" download -qq docker-buildx cosign)
  local package
  for package in "$state"/cache/*.deb; do dpkg -x "$package" "$state/root"; done
  install -m 755 "$(find "$state/root" -type f -path '*/cli-plugins/docker-buildx')" "$TOOLS/docker-buildx"
  install -m 755 "$state/root/usr/bin/cosign" "$TOOLS/cosign"
  rm -rf "$state"
}

# Lists, cache and status of its own: the machine's apt learns nothing of the newer suite.
private_apt() {
  local state=$1
  shift
  apt-get -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$state/lists" \
    -o "Dir::State::status=$state/status" -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root "$@" </dev/null >&2
}
