#!/usr/bin/python
# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say whether a worker image has to be built and pushed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_plan
short_description: Say whether a worker image has to be built and pushed by a container engine
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Holds the source of a worker application against the image that bears the version in Amazon ECR.
  - What an engine builds has another digest each time. An image is therefore known by the sha256 of what it was built from, which
    it carries in the label C(org.diffusion.fleet.source-sha256).
  - A version that was pushed from other content is refused, before anything is built. A version is never overwritten.
options:
  version:
    description:
      - The version, which becomes the tag of the image.
    type: str
    required: true
  source:
    description:
      - Directory of the worker application, with C(Dockerfile), C(locks/), C(src/api_scheduler), C(pyproject.toml) and C(requirements.txt).
    type: path
    required: true
  base_image:
    description:
      - What the image is built on. A tag that moves is not noticed; pin it by digest.
    type: str
    required: true
  requirements:
    description:
      - Which lock file of C(locks/) is installed.
    type: str
    choices: [cuda, cpu, noop]
    default: cuda
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - diffusion.fleet._repository
  - diffusion.fleet._attributes.info
  - diffusion.fleet._attributes.actiongroup_fleet
seealso:
  - module: diffusion.fleet.image_bundle
  - module: diffusion.fleet.image_attachment
"""

EXAMPLES = r"""
- name: Is there anything to build?
  diffusion.fleet.image_plan:
    deployment_id: demo
    version: 1.1.0
    source: worker_app
    base_image: python:3.11-slim-bookworm
  register: plan

- name: Build
  community.docker.docker_image_build:
    name: "{{ plan.repository }}:{{ plan.version }}"
    path: worker_app
    args: "{{ plan.build_args | combine({'BASE_IMAGE': 'python:3.11-slim-bookworm'}) }}"
    rebuild: always
  when: plan.build
"""

RETURN = r"""
build:
  description: Whether the version is not pushed yet.
  returned: success
  type: bool
version:
  description: The version.
  returned: success
  type: str
  sample: 1.1.0
repository:
  description: The URI of the repository.
  returned: success
  type: str
  sample: 123456789012.dkr.ecr.us-east-1.amazonaws.com/sd-inference-demo
registry:
  description: The registry's host.
  returned: success
  type: str
  sample: 123456789012.dkr.ecr.us-east-1.amazonaws.com
source_sha256:
  description: What names the content.
  returned: success
  type: str
build_args:
  description: The arguments of the build beside C(BASE_IMAGE).
  returned: success
  type: dict
digest:
  description: The digest of the pushed image, or null.
  returned: success
  type: str
image:
  description: The reference by digest, as an instance runs it, or null.
  returned: success
  type: str
sbom:
  description: Whether a bill of materials is attached to the pushed image.
  returned: success
  type: bool
signed:
  description: Whether a signature is attached to the pushed image. It is not verified here.
  returned: success
  type: bool
"""

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._images.module import run
from ansible_collections.diffusion.fleet.plugins.module_utils._images.pushed import PlanRequest, plan

ARGUMENTS = {
    "version": {"type": "str", "required": True},
    "source": {"type": "path", "required": True},
    "base_image": {"type": "str", "required": True},
    "requirements": {"type": "str", "choices": ["cuda", "cpu", "noop"], "default": "cuda"},
}


def use_case(module: t.Any, repository: str) -> dict[str, t.Any]:
    """Compare."""
    params = module.params
    request = PlanRequest(repository, params["version"], params["source"], params["base_image"], params["requirements"])
    return plan(module, request)


def main() -> None:
    """Run the module."""
    run(ARGUMENTS, use_case)


if __name__ == "__main__":
    main()
