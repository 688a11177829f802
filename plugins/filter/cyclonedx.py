# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials of an image."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cyclonedx
short_description: The bill of materials of an image in CycloneDX format
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Makes a CycloneDX 1.6 document of what was found in an image. The same contents give the same document.
positional: _input
options:
  _input:
    description:
      - What is in the image. C(os) holds the entries of C(/etc/os-release), C(distributions) Python distributions with C(name),
        C(version) and C(license), C(packages) Debian packages with C(name), C(version) and C(architecture).
    type: dict
    required: true
  name:
    description: The image's repository.
    type: str
    required: true
  version:
    description: The image's version.
    type: str
    required: true
  digest:
    description: The image's digest.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Write the bill of materials
  ansible.builtin.copy:
    content: >-
      {{ contents | diffusion.fleet.cyclonedx(name=plan.repository, version='1.1.0', digest=plan.digest) | to_nice_json }}
    dest: build/images/1.1.0/sbom.cdx.json
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The document.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.diffusion.fleet.plugins.module_utils._images.sbom import document


def cyclonedx(contents: t.Mapping[str, t.Any], name: str, version: str, digest: str) -> dict[str, t.Any]:
    """The document of these contents."""
    try:
        return document(contents, name=str(name), version=str(version), digest=str(digest))
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"cyclonedx: the contents lack {error}. They have os, distributions and packages, as "
            "ansible-doc -t filter diffusion.fleet.cyclonedx describes."
        ) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Their names."""
        return {"cyclonedx": cyclonedx}
