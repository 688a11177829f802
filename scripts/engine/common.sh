# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034  # what is unused here is used in the other parts
# Names, messages, and the engine that a machine may have already.

readonly ENGINES=$PWD/build/engine
# Where sockets lie when the checkout's own path is too long for them.
SHORT=/run/fleet-engine/$(printf '%s' "$PWD" | sha256sum | cut -c1-12)
readonly SHORT
readonly GATEWAY=10.0.2.2 # of slirp4netns: this machine's 127.0.0.1
readonly SOCKET_LIMIT=107 # bytes in the path of a unix socket
readonly LONGEST_SOCKET=/exec/containerd/containerd.sock.ttrpc

say() { printf '==> %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

set_name() {
  [[ $1 =~ ^[a-z][a-z0-9-]{0,19}$ ]] || die "NAME '$1': use 1 to 20 lower-case letters, digits or '-', a letter first"
  NAME=$1
  NAMESPACE=fleet-$NAME
  WORK=$ENGINES/$NAME
  SOCKETS=$WORK
  [ $((${#WORK} + ${#LONGEST_SOCKET})) -le "$SOCKET_LIMIT" ] || SOCKETS=$SHORT/$NAME
  SOCKET=$SOCKETS/docker.sock
  readonly NAME NAMESPACE WORK SOCKETS SOCKET
}

# One command at a time for each engine. Daemons are started with 9>&-, or they would hold the lock for ever.
with_lock() {
  mkdir -p "$ENGINES"
  exec 9>"$ENGINES/.$NAME.lock"
  flock 9
  "$@"
}

need_root() {
  [ "$(id -u)" -eq 0 ] || die "an engine of its own needs root. Run this as root," \
    "or start a Docker engine yourself and name it: export DOCKER_HOST=unix:///var/run/docker.sock"
}

# wait_for SECONDS WHAT COMMAND…
wait_for() {
  local seconds=$1 what=$2 end
  shift 2
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || {
      say "$what: not within $seconds s"
      return 1
    }
    sleep 0.1
  done
}

is_foreign() { [ -s "$WORK/foreign" ]; }

# An engine that somebody named, or that the machine runs; never one of ours that `env` left in a shell.
uses_foreign() {
  [ "${FLEET_ENGINE:-}" != own ] || return 1
  case "${DOCKER_HOST:-}" in
    unix://*/build/engine/* | "unix://$SHORT/"*) return 1 ;;
  esac
  command -v docker >/dev/null && docker version >/dev/null 2>&1 && return
  [ -z "${DOCKER_HOST:-}" ] || die "DOCKER_HOST=$DOCKER_HOST does not answer. Start that engine, or unset DOCKER_HOST."
  return 1
}

foreign_up() {
  mkdir -p "$WORK"
  printf '%s\n' "${DOCKER_HOST:-unix:///var/run/docker.sock}" >"$WORK/foreign"
  say "using the engine at $(docker_host): $(engine_version)." \
    "FLEET_ENGINE=own starts one of its own beside it (needed for 'trust')."
}

docker_host() { if is_foreign; then cat "$WORK/foreign"; else printf 'unix://%s\n' "$SOCKET"; fi; }

# Empty for the machine's engine: its containers reach this machine's 127.0.0.1 only where they share its network.
gateway() { if is_foreign; then echo; else printf '%s\n' "$GATEWAY"; fi; }

engine() { DOCKER_HOST=$(docker_host) docker "$@"; }

engine_version() { engine version --format 'Docker {{.Server.Version}}, API {{.Server.APIVersion}}'; }

has_image() { engine image inspect "$1" >/dev/null 2>&1; }
