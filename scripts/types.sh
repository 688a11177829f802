#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# mypy --strict: the collection with the scripts of its hosts, local_aws and the scripts in the controller's environment, the worker, the training
# of its model and the campaign that runs in its environment in the worker's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0
MYPYPATH=build/collections:roles/gpu_worker/files .venv/controller/bin/mypy -p ansible_collections.diffusion.fleet.plugins -p local_aws -p sd_host \
  -p scripts.rehearsal -p scripts.hosts -p campaign -p bench --exclude '^campaign/(bodies|batching)\.py$' -m scripts.check_shape -m scripts.check_licences -m scripts.engine.traces || failed=1
MYPYPATH=worker_app/src:worker_app .venv/worker/bin/mypy --cache-dir build/mypy-worker -p api_scheduler -p training \
  -m campaign.bodies -m campaign.batching || failed=1
exit "$failed"
