#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs the Molecule scenarios, beside each other, on machines of scripts/hosts. Usage: scripts/molecule.sh [SCENARIO]…   (by default all)
#
# FLEET_ENGINE_NAME   the engine, which has to be up: FLEET_ENGINE=own scripts/engine/engine.sh up NAME
# TORCH_WHEELS        a folder with the CPU wheel of torch: the worker of `default` then draws with the digits model;
#                     without one it plays the engine without a model
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly NAME=${FLEET_ENGINE_NAME:-containers}
readonly OUT=$PWD/build/molecule
export FLEET_ROOT=$PWD FLEET_ENGINE_NAME=$NAME PYTHONPATH=$PWD/build/collections:$PWD PATH=$PWD/.venv/controller/bin:$PATH
# Nothing of the user's own settings, and no copy of the collection in ~/.ansible.
export HOME=$OUT/home ANSIBLE_HOME=$OUT/home/.ansible LC_ALL=C.UTF-8 PY_COLORS=0 ANSIBLE_NOCOLOR=1
unset ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH
TORCH_WHEELS=${TORCH_WHEELS:-${PIP_FIND_LINKS:-}}
# shellcheck disable=SC2046  # a list of scenarios
[ $# -gt 0 ] || set -- $(cd extensions/molecule && for file in */molecule.yml; do printf '%s ' "${file%/*}"; done)

has_torch() { compgen -G "$TORCH_WHEELS/torch-*+cpu-*.whl" >/dev/null; }

hosts() { python -m scripts.hosts --engine "$NAME" "$@"; }

# The file is what the scenario's boot waits for.
deploy() {
  local scenario=$1
  shift
  hosts deploy "molecule-$scenario" "$@" >"$OUT/.$scenario.json"
  mv "$OUT/.$scenario.json" "$OUT/molecule-$scenario.json"
}

# While the role is applied. Only scenarios with a worker have a deployment.
deploy_all() {
  local scenario
  for scenario in "$@"; do
    case "$scenario" in
      default) deploy default --requirements "$FLEET_REQUIREMENTS" --wheels "$([ "$FLEET_REQUIREMENTS" = noop ] || printf '%s' "$TORCH_WHEELS")" ;;
      gpu) deploy gpu ;;
    esac
  done
}

play() {
  local scenario=$1 started=$SECONDS status=0
  MOLECULE_EPHEMERAL_DIRECTORY=$OUT/$scenario \
    molecule --base-config "$FLEET_ROOT/extensions/molecule/base.yml" test --scenario-name "$scenario" >"$OUT/$scenario.log" 2>&1 || status=$?
  printf '==> %s: %s, %d s (%s)\n' "$scenario" "$([ "$status" = 0 ] && echo passed || echo FAILED)" $((SECONDS - started)) "build/molecule/$scenario.log"
  [ "$status" = 0 ] || tail -n 60 "$OUT/$scenario.log"
  return "$status"
}

rm -rf "$OUT" && mkdir -p "$OUT/home"
if has_torch; then export FLEET_REQUIREMENTS=cpu; else export FLEET_REQUIREMENTS=noop; fi
echo "==> the worker's libraries: $FLEET_REQUIREMENTS"
hosts up >"$OUT/site.json"
eval "$(scripts/engine/engine.sh env "$NAME")"
trap 'hosts down >/dev/null' EXIT
deploy_all "$@" >"$OUT/deploy.log" 2>&1 &
jobs=("$!")
cd extensions
for scenario in "$@"; do
  play "$scenario" &
  jobs+=("$!")
done
failed=0
for job in "${jobs[@]}"; do wait "$job" || failed=1; done
exit "$failed"
