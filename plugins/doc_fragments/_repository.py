# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Documentation fragment of the options that say which repository is meant."""

from __future__ import annotations


class ModuleDocFragment:
    """The repository, for every module that reads or pushes images."""

    DOCUMENTATION = r"""
options:
  deployment_id:
    description:
      - The deployment, whose repository is C(sd-inference-<deployment_id>).
      - Exactly one of O(deployment_id) and O(repository) is needed.
    type: str
  repository:
    description:
      - The name of the ECR repository.
    type: str
"""
