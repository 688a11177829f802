#!/usr/bin/python
# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attach a document to an image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_attachment
short_description: Attach a document to an image in Amazon ECR
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Pushes a file, such as a bill of materials, as an OCI artifact that names the image as its subject.
  - The artifact also bears the tag C(sha256-<hex of the image>.<kind>), under which tools look where a registry has no referrers API.
  - What is attached is never overwritten. When another document of the same kind is there, the module fails.
options:
  digest:
    description:
      - The digest of the image.
    type: str
    required: true
  path:
    description:
      - The file.
    type: path
    required: true
  kind:
    description:
      - The end of the tag.
    type: str
    choices: [sbom, att]
    default: sbom
  media_type:
    description:
      - What the file is.
    type: str
    default: application/vnd.cyclonedx+json
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
    support: none
  idempotent:
    support: full
seealso:
  - module: diffusion.fleet.image_plan
"""

EXAMPLES = r"""
- name: Attach the bill of materials
  diffusion.fleet.image_attachment:
    deployment_id: demo
    digest: sha256:3f1c1d3f4a2be7a3c1b0f0d2a5e4b38d97a0c1b2d3e4f5061728394a5b6c7d8e
    path: build/images/1.1.0/sbom.cdx.json
"""

RETURN = r"""
digest:
  description: The digest of the artifact.
  returned: success
  type: str
tag:
  description: The tag of the artifact.
  returned: success
  type: str
subject:
  description: The digest of the image.
  returned: success
  type: str
"""

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._images.attachment import AttachmentRequest, attach
from ansible_collections.diffusion.fleet.plugins.module_utils._images.module import run

ARGUMENTS = {
    "digest": {"type": "str", "required": True},
    "path": {"type": "path", "required": True},
    "kind": {"type": "str", "choices": ["sbom", "att"], "default": "sbom"},
    "media_type": {"type": "str", "default": "application/vnd.cyclonedx+json"},
}


def use_case(module: t.Any, repository: str) -> dict[str, t.Any]:
    """Attach."""
    params = module.params
    request = AttachmentRequest(repository, params["digest"], params["kind"], params["media_type"], params["path"])
    return attach(module, request, check_mode=module.check_mode)


def main() -> None:
    """Run the module."""
    run(ARGUMENTS, use_case)


if __name__ == "__main__":
    main()
