#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Create or refresh the two virtual environments under .venv/. Safe to repeat: an environment whose requirement files
# have not changed is left alone. Usage: scripts/environment.sh controller|worker|all
#
# PYTHON=…            the Python to use (3.11 to 3.13); by default the first of python3.11, python3.12, python3.13, python3,
#                     the distribution's before others, which are often built without the compiler's slower optimisations
# TORCH_INDEX_URL=…   where to take torch from, e.g. https://download.pytorch.org/whl/cpu for the small CPU wheel
# MIN_FREE_GB=…       refuse to start with less disk space than this (6)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly CONTROLLER_FILES=(requirements-controller.txt requirements-local.txt requirements-dev.txt)
readonly PYTHONS=(/usr/bin/python3.{11,12,13} python3.{11,12,13} python3)
readonly WORKER_FILES=(worker_app/requirements-torch.txt worker_app/requirements.txt worker_app/requirements-dev.txt)
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf '==> %s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

is_supported() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

makes_environments() {
  is_supported "$1" && "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

# One that has all it takes is better than one that comes first.
find_python() {
  local suits candidate
  for suits in makes_environments is_supported; do
    for candidate in ${PYTHON:-"${PYTHONS[@]}"}; do
      if "$suits" "$candidate"; then
        printf '%s\n' "$candidate"
        return
      fi
    done
  done
  die "no Python 3.11, 3.12 or 3.13 found (looked for: ${PYTHON:-${PYTHONS[*]}})." \
    "Install one, for example 'apt-get install python3.11 python3.11-venv', or name it: make PYTHON=/path/to/python3.11"
}

# Debian ships venv apart from Python. As root it is installed; anyone else is told what to install.
ensure_venv_module() {
  local python=$1 package
  flock 8 # the environments are made beside each other, and apt is used by one at a time
  makes_environments "$python" && return
  package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    die "$python has no venv module. Install it ('apt-get install $package') and run this again."
  fi
  say "installing $package (this Python has no venv module)"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package"; } </dev/null
}

check_space() {
  local need=${MIN_FREE_GB:-6} free
  free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
  [ "$free" -ge "$need" ] \
    || die "only $free GB free under $PWD; the environments need $need GB. Free some space, or set MIN_FREE_GB."
}

fingerprint() {
  { cat "$@"; printf '%s\n' "${TORCH_INDEX_URL:-}"; } | sha256sum | cut -d' ' -f1
}

is_current() {
  local folder=$1
  shift
  [ "$(cat "$folder/.requirements" 2>/dev/null)" = "$(fingerprint "$@")" ] && "$folder/bin/python" -c '' 2>/dev/null
}

# create FOLDER TEXT: an empty environment, kept where one that works is there already
create() {
  local folder=$1 text=$2 python
  python=$(find_python)
  check_space
  (ensure_venv_module "$python") 8>.venv/.apt
  say "$text"
  "$folder/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$folder"
}

controller() {
  is_current .venv/controller "${CONTROLLER_FILES[@]}" && return
  create .venv/controller "controller environment: downloading about 200 MB from PyPI (1.3 GB on disk)"
  .venv/controller/bin/python -m pip install --quiet --upgrade-strategy only-if-needed -r requirements-dev.txt
  fingerprint "${CONTROLLER_FILES[@]}" >.venv/controller/.requirements
}

worker() {
  is_current .venv/worker "${WORKER_FILES[@]}" && return
  create .venv/worker "worker environment: downloading torch from ${TORCH_INDEX_URL:-PyPI} and the worker's libraries \
(about 350 MB with the CPU wheel, 3 GB with the CUDA one)"
  .venv/worker/bin/python -m pip install --quiet -r worker_app/requirements-torch.txt \
    ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"}
  .venv/worker/bin/python -m pip install --quiet -r worker_app/requirements.txt -r worker_app/requirements-dev.txt
  fingerprint "${WORKER_FILES[@]}" >.venv/worker/.requirements
}

# One mostly waits for the network while the other unpacks. Both are made, or said to be broken, before this returns.
both() {
  local environment job jobs=() failed=0
  for environment in controller worker; do
    "$environment" & # `set -e` holds in there, as it would not behind "||"
    jobs+=("$!")
  done
  for job in "${jobs[@]}"; do wait "$job" || failed=1; done
  [ "$failed" = 0 ] && write_lock
}

# What an image was built against and what the process runner offers must be the same set of libraries.
write_lock() {
  sha256sum worker_app/requirements.txt | cut -d' ' -f1 >.venv/worker/lock.sha256
}

# Python, ansible-playbook and mypy find the collection under ansible_collections/; the checkout itself is behind it.
link_collection() {
  mkdir -p build/collections/ansible_collections/diffusion
  ln -sfn ../../../.. build/collections/ansible_collections/diffusion/fleet
}

main() {
  mkdir -p .venv build
  exec 9>.venv/.lock
  flock 9
  case "${1:-all}" in
    controller) controller ;;
    worker)
      worker
      write_lock
      ;;
    all) both ;;
    *) die "unknown environment '$1': controller, worker or all" ;;
  esac
  link_collection
}

main "$@"
