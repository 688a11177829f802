#!/usr/bin/python
# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Release a version of the worker to a fleet, or roll it back
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Takes a release of a Stable Diffusion fleet forward or back. The version goes out by percentage through an instance refresh,
    is judged on finished jobs at every step, and goes back by itself when it is worse.
  - In a playbook the action plugin of the same name follows the release to its end and shows every line live. Everything that a run
    needs to go on is kept in AWS, so a run that dies is taken up by the next one.
  - Called without the plugin, or on another machine than the controller, the module works for about O(hold) seconds and answers
    RV(done=false) when the release is not over.
options:
  deployment_id:
    description: The deployment, 2 to 20 lower-case letters, digits and hyphens.
    type: str
    required: true
  state:
    description:
      - V(deployed) releases O(version) and follows it to its end. An open release of that version is taken up.
      - V(promoted) goes on with a paused release. While a step waits for its verdict, that step counts as passed by hand,
        unless its jobs are worse. With no release open nothing changes.
      - V(rolled_back) gives the open release up; with none open it returns to the previous stable version, or to O(to_version).
    type: str
    choices: [deployed, promoted, rolled_back]
    default: deployed
  version:
    description:
      - Version to release. Left out, the newest pushed image that was not rejected.
      - Not with O(state=rolled_back), which takes O(to_version).
    type: str
  percentage:
    description:
      - Share of the group that each step adds, a whole number from 1 to 100. V(20) stops at 20, 40, 60, 80 and 100.
      - Left out together with O(steps), V(20).
    type: str
  steps:
    description:
      - The steps themselves, rising and ending with 100. Excludes O(percentage).
      - Each is a whole number, or an object with C(percentage) and any of C(bake) (least seconds that jobs are collected there,
        instead of O(timing.window)), C(min_jobs) (instead of O(limits.min_jobs)), C(pause) (true pauses the release once the
        step has passed, until it is promoted) and C(on_inconclusive) (instead of O(on_inconclusive)).
      - A step that the group is too small for hands its C(pause) on to the next one.
    type: list
    elements: raw
    default: []
  to_version:
    description:
      - Version to return to, one that was stable before. Only with O(state=rolled_back).
      - With a release open, that release is given up and the stable one passed over.
    type: str
  full:
    description: Go on with all the remaining steps at once, judged at the end. Only with O(state=promoted).
    type: bool
    default: false
  hold_scale_out:
    description:
      - Suspend scaling by alarms, out and in, until the first step has passed. It is resumed whatever happens to the release.
    type: bool
    default: false
  retry_rejected:
    description: Release an image although it was rejected before.
    type: bool
    default: false
  reason:
    description: Why the release is rolled back, for the ledger and the history.
    type: str
  initial_capacity:
    description: Instances that the first release starts, and any release of an empty group.
    type: int
    default: 1
  surge:
    description: Launch before terminating, so that capacity never falls. V(false) keeps to the desired capacity and dips to 90 percent.
    type: bool
    default: true
  require_signature:
    description:
      - Refuse, before anything changes, an image without a cosign signature that the key in O(signature_key) verifies.
      - Concerns O(state=deployed) with no release open; the way back is never refused. Needs the Python package C(cryptography).
    type: bool
    default: false
  signature_key:
    description: File with an ECDSA public key in PEM, for O(require_signature=true).
    type: path
  replay:
    description:
      - Send again, at the end of a rollback, every request that the release left behind has failed, so that the stable release
        answers it. The new result replaces the failed one.
    type: bool
    default: true
  on_inconclusive:
    description: What to do with a step that has too few jobs for a verdict when its time is over.
    type: str
    choices: [fail, pass, pause]
    default: fail
  alarms:
    description: Names of CloudWatch alarms of your own that stop a release, at most 8.
    type: list
    elements: str
    default: []
  timing:
    description: Seconds.
    type: dict
    default: {}
    suboptions:
      poll:
        description: Between two looks.
        type: int
        default: 10
      lock_renew:
        description: After which the lock is renewed.
        type: int
        default: 15
      lock_expiry:
        description: After which a lock that is not renewed may be taken over.
        type: int
        default: 60
      lock_watch:
        description: How long a lock is watched at least before it may be taken over.
        type: int
        default: 20
      window:
        description: How long jobs are collected at a step at least.
        type: int
        default: 300
      inconclusive_limit:
        description: How long after O(timing.window) a step may stay without a verdict.
        type: int
        default: 900
      gate_period:
        description: Period of the gate alarm, 10, 30 or a multiple of 60.
        type: int
        default: 60
      gate_periods:
        description: Periods of silence after which the gate alarm fires and AWS rolls back.
        type: int
        default: 3
      alarms_ok:
        description: How long to wait for the release alarms to be OK before the start.
        type: int
        default: 300
      replacement:
        description: Expected time to replace a batch of instances, for the plan's duration only.
        type: int
        default: 240
      lookback:
        description: How far back before the release the stable version's jobs are read.
        type: int
        default: 3600
      replay_lookback:
        description: >-
          How far back the failures of a release that is left by hand are replayed, for O(replay). Those of a release that was
          still open are replayed whole.
        type: int
        default: 86400
  smoke:
    description: Requests of our own with fixed seeds, sent to candidate and stable at each step.
    type: dict
    default: {}
    suboptions:
      count:
        description: How many at each step; 0 for none.
        type: int
        default: 4
      payload:
        description: The C(txt2img) payload they carry; none are sent without one.
        type: dict
        default: {}
      golden:
        description:
          - What becomes of a candidate whose smoke pictures are further than O(smoke.golden_limit) from those that stable draws from the
            same seeds. V(warn) says so, V(fail) rolls back, V(off) does not look.
          - Pictures that are not the same file are compared with Pillow, which the controller then needs.
        type: str
        choices: ["off", warn, fail]
        default: warn
      golden_limit:
        description: Mean absolute difference of red, green and blue values, 0 to 255, above which pictures are far apart.
        type: float
        default: 16.0
  run:
    description: Nonce of the run, made by the action plugin; the lock that bears it is the run's own.
    type: str
  owner:
    description: Who runs it, for the lock and the history. Left out, the user of the controller.
    type: str
  context:
    description: What the last call of the same run answered as RV(context).
    type: dict
    default: {}
  hold:
    description: How long one call works before it answers, in seconds.
    type: float
    default: 8
  progress:
    description:
      - A file to which each line is added as soon as it is true, for whoever wants to see them before the module answers.
      - Where the module runs on the controller itself the action plugin makes one, and one call lasts to the end of the release.
      - A run whose file disappears, or whose parent process ends, stops as one that was killed; the next run takes it up.
    type: path
attributes:
  check_mode:
    support: full
    details: Shows the plan and what the run would do first; nothing is changed, the lock is not taken.
  diff_mode:
    support: full
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
  - module: diffusion.fleet.release_info
  - module: diffusion.fleet.instance_refresh
"""

EXAMPLES = r"""
- name: Release 1.1.0 in steps of 20 percent
  diffusion.fleet.release:
    deployment_id: demo
    version: 1.1.0
    percentage: "20"

- name: A small first step that waits for a person, then the rest
  diffusion.fleet.release:
    deployment_id: demo
    version: 1.1.0
    steps:
      - {percentage: 5, bake: 600, min_jobs: 50, pause: true}
      - 25
      - 100

- name: Go on with it
  diffusion.fleet.release:
    deployment_id: demo
    state: promoted

- name: Return to the previous stable version
  diffusion.fleet.release:
    deployment_id: demo
    state: rolled_back
    reason: pictures are too dark
"""

RETURN = r"""
done:
  description: Whether the release is over.
  returned: always
  type: bool
  sample: true
outcome:
  description: How it ended, V(succeeded), V(paused) or V(rolled_back); empty when this run changed no release.
  returned: always
  type: str
  sample: succeeded
lines:
  description: What happened, one sentence each.
  returned: always
  type: list
  elements: str
  sample: ["step 1/5 (20 %, 1 of 5 instances, planned 1): pass: not worse than stable"]
plan:
  description: Steps, instances at each, floor and ceiling of the capacity in service.
  returned: always
  type: dict
  sample: {"size": 5, "floor": 5, "ceiling": 6, "steps": [{"percentage": 20, "instances": 1, "skipped": false}]}
ledger:
  description: The ledger as it is after the call.
  returned: always
  type: dict
  sample: {"status": "stable"}
context:
  description: To be handed to the next call of the same run.
  returned: always
  type: dict
  sample: {"epoch": 4}
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import ARGUMENT_SPEC, run_release


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(
        argument_spec=ARGUMENT_SPEC,
        mutually_exclusive=[("percentage", "steps")],
        supports_check_mode=True,
    )
    try:
        result = run_release(module, module.params, check_mode=module.check_mode)
    except FleetError as error:
        module.fail_json(msg=error.message, **error.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
