#!/usr/bin/python
# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: release_judgement
short_description: Judge the finished jobs of one release against those of another
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Answers V(pass), V(fail) or V(inconclusive) with the numbers and one sentence, as M(diffusion.fleet.release) does at each step.
  - The jobs are read from the workers' log by release id and time, or are given as lists of job lines.
  - All jobs count as one step of one release. A verdict V(fail) is an answer, not an error of the module.
  - Reads only.
options:
  deployment_id:
    description: The deployment whose log is read.
    type: str
  log_group:
    description: Log group to read instead of the deployment's own.
    type: str
  candidate:
    description: Release id of the candidate, 12 hexadecimal digits.
    type: str
  stable:
    description: Release id to compare with. Without it and without O(stable_jobs) only the absolute limits are used.
    type: str
  start:
    description: Time from which jobs are read, in ISO 8601; UTC where it names no zone. Needed with O(candidate) or O(stable).
    type: str
  end:
    description: Time until which jobs are read; left out, until now.
    type: str
  candidate_jobs:
    description:
      - Job lines of the candidate, with the fields of the log lines C(outcome), C(error_type), C(draw_ms), C(steps), C(pixels),
        C(sequence), C(smoke), C(instance_id) and C(time). Only C(outcome) is needed. Without C(time) the order of the list is kept.
      - Latencies are compared of jobs that have C(draw_ms), C(steps), C(pixels) and C(sequence), the number since the worker's boot.
      - The workers' lines with C(state=warming) may be among them. They tell of restarts.
    type: list
    elements: dict
  stable_jobs:
    description: Job lines to compare with.
    type: list
    elements: dict
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - diffusion.fleet._attributes
  - diffusion.fleet._attributes.actiongroup_fleet
  - diffusion.fleet._limits
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: diffusion.fleet.release
"""

EXAMPLES = r"""
- name: Compare two releases over one night
  diffusion.fleet.release_judgement:
    deployment_id: demo
    candidate: 00aa11bb22cc
    stable: 0a1b2c3d4e5f
    start: 2026-01-30T22:00:00+01:00
    end: 2026-01-31T06:00:00+01:00
  register: night

- name: Judge jobs that came from elsewhere
  diffusion.fleet.release_judgement:
    candidate_jobs: "{{ lookup('file', 'candidate.json') | from_json }}"
    stable_jobs: "{{ lookup('file', 'stable.json') | from_json }}"
    limits:
      max_failure_share: 0.05
"""

RETURN = r"""
verdict:
  description: V(pass), V(fail) or V(inconclusive).
  returned: success
  type: str
  sample: pass
sentence:
  description: Why, with the numbers.
  returned: success
  type: str
  sample: not worse than stable (candidate 0/50 failed, stable 3/200 failed, latency ratio 1.04)
candidate:
  description: The candidate's numbers.
  returned: success
  type: dict
  sample: {"jobs": 50, "failed": 0, "refused": 1, "restarts": 0, "median_pace": 190.4}
stable:
  description: The numbers of the release that it was compared with.
  returned: success
  type: dict
  sample: {"jobs": 200, "failed": 3, "refused": 2, "restarts": 0, "median_pace": 188.0}
findings:
  description: What each comparison found at the latest look, and its part of the false-alarm limit.
  returned: success
  type: list
  elements: dict
  sample: [{"comparison": "failures", "scope": "release", "jobs": 50, "p_value": 1.0, "level": 0.0003, "worse": false}]
latency_ratio:
  description: Candidate's draw time per unit of work over the other's; null where there were too few jobs.
  returned: success
  type: float
  sample: 1.04
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.report import ARGUMENT_SPEC, read_judgement


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(
        argument_spec=ARGUMENT_SPEC,
        mutually_exclusive=[("candidate", "candidate_jobs"), ("stable", "stable_jobs"), ("deployment_id", "log_group")],
        required_one_of=[("candidate", "candidate_jobs")],
        supports_check_mode=True,
    )
    try:
        result = read_judgement(module, module.params)
    except FleetError as error:
        module.fail_json(msg=error.message, **error.details)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
