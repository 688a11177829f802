#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build a worker image without a container engine and push it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_bundle
short_description: Build a worker image without a container engine and push it to ECR
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Puts the code of a worker application into an OCI image of one layer and pushes it with the layer API of Amazon ECR.
  - The image holds code only. What the code imports comes from the environment that runs it, which must have been made from the
    same C(requirements.txt); the image carries the file's sha256 in the label C(org.diffusion.fleet.lock-sha256).
  - The same source and version give the same digest on every machine.
  - A version is never overwritten. When it already names another image, nothing is pushed and the module fails.
options:
  version:
    description:
      - The version, which becomes the tag of the image.
      - V(latest) and V(none) are refused.
    type: str
    required: true
  source:
    description:
      - Directory of the worker application, with C(src/api_scheduler), C(pyproject.toml) and C(requirements.txt).
    type: path
    required: true
  output:
    description:
      - Directory into which the image is also written as an OCI image layout.
      - When it is left out, nothing is written.
    type: path
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - diffusion.fleet._repository
  - diffusion.fleet._attributes
  - diffusion.fleet._attributes.actiongroup_fleet
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: diffusion.fleet.inference_request
"""

EXAMPLES = r"""
- name: Build and push version 1.1.0
  diffusion.fleet.image_bundle:
    deployment_id: demo
    version: 1.1.0
    source: worker_app
    output: build/images/1.1.0
  register: image

- name: Show what an instance would run
  ansible.builtin.debug:
    var: image.image
"""

RETURN = r"""
version:
  description: The version.
  returned: success
  type: str
  sample: 1.1.0
digest:
  description: The digest of the image, which is the sha256 of its manifest.
  returned: success
  type: str
  sample: sha256:3f1c1d3f4a2be7a3c1b0f0d2a5e4b38d97a0c1b2d3e4f5061728394a5b6c7d8e
image:
  description: The reference by digest, as an instance runs it.
  returned: success
  type: str
  sample: 123456789012.dkr.ecr.us-east-1.amazonaws.com/sd-inference-demo@sha256:3f1c1d3f4a2be7a3c1b0f0d2a5e4b38d97a0c1b2d3e4f5061728394a5b6c7d8e
repository:
  description: The URI of the repository.
  returned: success
  type: str
  sample: 123456789012.dkr.ecr.us-east-1.amazonaws.com/sd-inference-demo
pushed:
  description: Whether this run pushed the image, or would have in check mode.
  returned: success
  type: bool
layers:
  description: The layers of the image.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: The digest of the layer.
      type: str
    size:
      description: Its size in bytes.
      type: int
lock_sha256:
  description: The sha256 of the source's C(requirements.txt).
  returned: success
  type: str
output:
  description: The directory of the OCI image layout, or null.
  returned: success
  type: str
"""

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._images.build import BuildRequest, ensure_image
from ansible_collections.diffusion.fleet.plugins.module_utils._images.module import run

ARGUMENTS = {
    "version": {"type": "str", "required": True},
    "source": {"type": "path", "required": True},
    "output": {"type": "path"},
}


def use_case(module: t.Any, repository: str) -> dict[str, t.Any]:
    """Build and push."""
    params = module.params
    request = BuildRequest(repository, params["version"], params["source"], params["output"])
    return ensure_image(module, request, check_mode=module.check_mode)


def main() -> None:
    """Run the module."""
    run(ARGUMENTS, use_case)


if __name__ == "__main__":
    main()
