#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A Docker engine for the tests that need one, from the machine's own packages: in a network namespace and a mount
# namespace of its own, so that the machine's iptables, /etc/hosts and /etc/docker stay as they are. Several engines,
# one a NAME, can stand beside each other. Everything lies under build/engine/NAME.
#
#   engine.sh up NAME       start it; where DOCKER_HOST is set, or the machine has an engine, that one is used instead
#   engine.sh env NAME      lines for `eval`: DOCKER_HOST, DOCKER_CONFIG, PATH, FLEET_ENGINE_GATEWAY
#   engine.sh base NAME     image local/python:3.11-slim-bookworm
#   engine.sh hosts NAME    image local/systemd-host:bookworm
#   engine.sh trust NAME HOST PORT CA_FILE
#                           HOST:443 is 127.0.0.1:PORT of this machine, and certificates signed by CA_FILE are accepted
#   engine.sh exec NAME COMMAND…
#                           run a command where the engine runs: there HOST resolves
#   engine.sh status NAME   what runs; 0 when an engine answers
#   engine.sh down NAME     end everything that up started; images stay for the next up
#   engine.sh remove NAME   the same, and delete build/engine/NAME
#
# Root and a Debian with apt are needed, unless there is an engine. FLEET_ENGINE=own starts one although the machine has
# one. Inside the engine and in its containers 10.0.2.2 is this machine's 127.0.0.1. A container that has to find HOST
# too is run with --add-host HOST:10.0.2.2.
set -euo pipefail
# shellcheck disable=SC2034  # used in parts of this program
readonly CALLER=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
for part in common packages network daemon images; do
  # shellcheck source=/dev/null
  . "scripts/engine/$part.sh"
done

usage() {
  sed -n 's/^#   \(engine.sh .*\)/  \1/p' "scripts/engine/engine.sh" >&2
  exit 2
}

up() {
  if is_up; then
    say "engine $NAME is up already: $(engine_version)"
  elif uses_foreign; then
    foreign_up
  else
    own_up
  fi
}

own_up() {
  need_root
  need_packages
  clear_leftovers
  prepare_folder
  trap give_up EXIT
  network_up
  daemon_up
  need_plugins
  trap - EXIT
  say "engine $NAME is up: $(engine_version)"
}

give_up() {
  say "engine $NAME did not come up: taking it down again"
  own_down
}

down() {
  if is_foreign; then
    say "the engine at $(cat "$WORK/foreign") is the machine's: left running"
    rm -f "$WORK/foreign" # what an engine of its own has left there stays for its next up
    rmdir --ignore-fail-on-non-empty "$WORK"
  elif [ -d "$WORK" ]; then
    need_root
    own_down
    say "engine $NAME is down"
  fi
}

own_down() {
  daemon_down
  network_down
}

print_env() {
  is_up || is_foreign || die "engine $NAME is not up. Start it: scripts/engine/engine.sh up $NAME"
  printf 'export DOCKER_HOST=%q\n' "$(docker_host)"
  printf 'export FLEET_ENGINE_GATEWAY=%q\n' "$(gateway)"
  if ! is_foreign; then
    printf 'export DOCKER_CONFIG=%q\n' "$WORK/config"
    printf 'export PATH=%q:"%s"\n' "$WORK/bin" "\$PATH"
  fi
}

status() {
  is_up || is_foreign || die "engine $NAME is not up"
  say "engine $NAME: $(engine_version), $(docker_host)"
}

main() {
  [ $# -ge 2 ] || usage
  local command=$1
  set_name "$2"
  shift 2
  case "$command" in
    up | down | base | hosts | remove)
      [ $# -eq 0 ] || usage
      with_lock "$command"
      ;;
    trust)
      [ $# -eq 3 ] || usage
      with_lock trust "$@"
      ;;
    exec)
      [ $# -ge 1 ] || usage
      inside "$@"
      ;;
    env) print_env ;;
    status) status ;;
    *) usage ;;
  esac
}

remove() {
  down
  rm -rf "$WORK"
}

main "$@"
