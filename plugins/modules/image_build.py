#!/usr/bin/python
# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This is a virtual module that is entirely implemented as an action plugin and runs on the controller.
"""Build an image and show how far it is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_build
short_description: Build an image with a container engine and show each step as it comes
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Runs M(community.docker.docker_image_build) with O(community.docker.docker_image_build#module:rebuild=always), and displays each step of the
    build, long steps and large downloads while they happen.
  - Steps are displayed where the task runs on the controller as the user who started the playbook.
options:
  name:
    description:
      - The image with its tag.
    type: str
    required: true
  path:
    description:
      - The directory with the C(Dockerfile).
    type: path
    required: true
  args:
    description:
      - The build arguments.
    type: dict
  secrets:
    description:
      - The secrets, as M(community.docker.docker_image_build) takes them.
    type: list
    elements: dict
extends_documentation_fragment:
  - diffusion.fleet._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - It always builds. M(diffusion.fleet.image_plan) says whether there is anything to build.
seealso:
  - module: diffusion.fleet.image_plan
  - module: community.docker.docker_image_build
"""

EXAMPLES = r"""
- name: Build
  diffusion.fleet.image_build:
    name: worker:1.1.0
    path: worker_app
    args:
      REQUIREMENTS: cpu
"""

RETURN = r"""
image:
  description: What the engine says of the image.
  returned: success
  type: dict
lines:
  description: What was displayed.
  returned: success
  type: list
  elements: str
"""
