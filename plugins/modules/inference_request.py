#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Send requests to a fleet, wait for their results and save the pictures."""

from __future__ import annotations

DOCUMENTATION = r"""
module: inference_request
short_description: Send requests to a fleet, wait for their results and save the pictures
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Sends requests to the task queue of a deployment and collects their results from its bucket.
  - A request whose result is already there is not sent again, so a second run changes nothing.
  - A request that has no result yet is sent, also when an earlier run has sent it. Workers keep one result for an id, whatever the
    number of messages.
options:
  deployment_id:
    description:
      - The deployment. The queue is C(sd-task-queue-<deployment_id>), the bucket C(sd-images-<deployment_id>-<account id>).
    type: str
    required: true
  requests:
    description:
      - The requests.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description:
          - The idempotency key; letters, digits, C(.), C(_) and C(-), at most 128.
          - When it is left out, it follows from the contents, so the same request is the same picture. Give an id, or a seed in
            O(requests[].payload), for another picture of the same prompt.
        type: str
      api:
        description:
          - The path of the API that the payload is written for.
        type: str
        default: /sdapi/v1/txt2img
      payload:
        description:
          - The fields of that API.
        type: dict
        required: true
      context:
        description:
          - Anything; it comes back in the result.
        type: raw
      ttl_seconds:
        description:
          - After that many seconds in the queue the request is not drawn any more and ends as expired.
        type: int
  wait:
    description:
      - Whether to wait until every request has its result.
    type: bool
    default: true
  wait_timeout:
    description:
      - How many seconds to wait at most. Then the module fails, with what has come so far in its result.
    type: float
    default: 300
  poll_interval:
    description:
      - Seconds between two looks at the bucket.
    type: float
    default: 1
  dest:
    description:
      - Directory for the pictures, named C(<id>-<number>.png). It is created.
      - When it is left out, no picture is fetched.
    type: path
  fail_on_error:
    description:
      - Whether a request that ended as failed, cancelled or expired fails the module.
    type: bool
    default: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - diffusion.fleet._attributes
  - diffusion.fleet._attributes.actiongroup_fleet
attributes:
  check_mode:
    support: partial
    details:
      - Predicts which requests are sent. Results that the workers have yet to draw cannot be known.
  diff_mode:
    support: none
  idempotent:
    support: full
notes:
  - Reading a result that does not exist needs the permission to list the bucket; without it S3 answers that access is denied.
seealso:
  - module: diffusion.fleet.image_bundle
"""

EXAMPLES = r"""
- name: Draw a digit and save it
  diffusion.fleet.inference_request:
    deployment_id: demo
    requests:
      - id: first-three
        payload:
          prompt: a red three
          seed: 7
          steps: 8
          width: 32
          height: 32
    dest: build/pictures

- name: Send without waiting
  diffusion.fleet.inference_request:
    deployment_id: demo
    requests: "{{ lookup('ansible.builtin.file', 'requests.json') | from_json }}"
    wait: false
"""

RETURN = r"""
sent:
  description: The ids of the requests that this run sent, or would have sent in check mode.
  returned: always
  type: list
  elements: str
succeeded:
  description: The ids whose result is a success.
  returned: always
  type: list
  elements: str
failed_requests:
  description: The ids whose result is a failure.
  returned: always
  type: list
  elements: str
cancelled:
  description: The ids that were cancelled.
  returned: always
  type: list
  elements: str
expired:
  description: The ids that waited longer than their C(ttl_seconds).
  returned: always
  type: list
  elements: str
pending:
  description: The ids without a result.
  returned: always
  type: list
  elements: str
files:
  description: The pictures on disk, with those that were there before.
  returned: always
  type: list
  elements: str
  sample: [build/pictures/first-three-0.png]
results:
  description: The result documents that are there, in the order of the requests, each with the C(files) of its pictures.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import SystemClock
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._requests.submit import Options, submit

REQUEST_OPTIONS = {
    "id": {"type": "str"},
    "api": {"type": "str", "default": "/sdapi/v1/txt2img"},
    "payload": {"type": "dict", "required": True},
    "context": {"type": "raw"},
    "ttl_seconds": {"type": "int"},
}
ARGUMENTS = {
    "deployment_id": {"type": "str", "required": True},
    "requests": {"type": "list", "elements": "dict", "required": True, "options": REQUEST_OPTIONS},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "float", "default": 300},
    "poll_interval": {"type": "float", "default": 1},
    "dest": {"type": "path"},
    "fail_on_error": {"type": "bool", "default": True},
}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = Options(**{name: module.params[name] for name in ARGUMENTS})
    try:
        result = submit(module, SystemClock(), options, check_mode=module.check_mode)
    except FleetError as error:
        module.fail_json(msg=error.message, **error.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
