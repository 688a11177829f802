#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# mypy --strict: the collection, local_aws and the scripts in the controller's environment, the worker in its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0
MYPYPATH=build/collections .venv/controller/bin/mypy -p ansible_collections.diffusion.fleet.plugins || failed=1
.venv/controller/bin/mypy -p local_aws || failed=1
MYPYPATH=build/collections .venv/controller/bin/mypy -p scripts.rehearsal -m scripts.check_shape -m scripts.check_licences \
  || failed=1
MYPYPATH=worker_app/src .venv/worker/bin/mypy --cache-dir build/mypy-worker -p api_scheduler || failed=1
MYPYPATH=worker_app .venv/worker/bin/mypy --cache-dir build/mypy-worker -p training || failed=1
exit "$failed"
