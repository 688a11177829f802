#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Write the lock files of the worker's image, worker_app/locks/{cuda,cpu,noop}.txt: every library with its version and
# the hashes of its files. What is wanted stands in worker_app/requirements*.txt; run this after changing one of them.
# Versions that the lock files have already are kept. Usage: scripts/locks.sh [--upgrade]
#
# TORCH_INDEX_URL=…  where the CPU wheel of torch is; by default https://download.pytorch.org/whl/cpu
# TORCH_WHEELS=…     instead of it, a folder that holds the wheel
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly UV=0.9.11
readonly VENV=build/venvs/locks

[ "$(cat "$VENV/version" 2>/dev/null)" = "$UV" ] || {
  "${PYTHON:-python3}" -m venv --clear "$VENV"
  "$VENV/bin/pip" --quiet --disable-pip-version-check install "uv==$UV"
  echo "$UV" >"$VENV/version"
}

# lock NAME OPTION… REQUIREMENTS…
lock() {
  local file=worker_app/locks/$1.txt
  shift
  # --no-config: the lock must not depend on this machine's own settings
  "$VENV/bin/uv" pip compile --quiet --no-config --generate-hashes --no-annotate \
    --custom-compile-command 'make locks' --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --output-file "$file" "$@" >/dev/null
  grep -q SPDX "$file" || sed -i '1i # SPDX-License-Identifier: Apache-2.0' "$file"
  echo "$file: $(grep -c '==' "$file") libraries"
}

cpu_torch=(--index "${TORCH_INDEX_URL:-https://download.pytorch.org/whl/cpu}")
[ -z "${TORCH_WHEELS:-}" ] || cpu_torch=(--find-links "$TORCH_WHEELS")

lock cuda "$@" worker_app/requirements.txt worker_app/requirements-torch.txt
lock cpu "$@" "${cpu_torch[@]}" worker_app/requirements.txt worker_app/requirements-torch.txt
lock noop "$@" --constraint worker_app/requirements.txt worker_app/requirements-noop.txt
