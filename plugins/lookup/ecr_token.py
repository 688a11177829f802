# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials for a container engine to log in to Amazon ECR with."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ecr_token
short_description: Credentials for logging in to Amazon ECR
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Asks Amazon ECR for an authorization token of the caller, which is valid for 12 hours.
  - Returns one dictionary with C(username), C(password), C(registry) (the host) and C(expires_at) (ISO 8601).
  - Use it in a task with C(no_log=true).
options:
  _terms:
    description: Nothing. The registry is that of the account and region in use.
    required: false
extends_documentation_fragment:
  - amazon.aws.boto3
  - amazon.aws.common.plugins
  - amazon.aws.region.plugins
seealso:
  - plugin: amazon.aws.ssm_parameter
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Log in
  community.docker.docker_login:
    registry_url: "{{ token.registry }}"
    username: "{{ token.username }}"
    password: "{{ token.password }}"
    reauthorize: true
  vars:
    token: "{{ lookup('diffusion.fleet.ecr_token', region='us-east-1') }}"
  no_log: true
"""

RETURN = r"""
_raw:
  description: The credentials.
  type: list
  elements: dict
"""

import base64
import typing as t
import urllib.parse

from ansible.errors import AnsibleLookupError
from ansible_collections.amazon.aws.plugins.plugin_utils.lookup import AWSLookupBase

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError


class LookupModule(AWSLookupBase):
    """One call of the API."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[t.Any]:
        """The credentials, in a list of one."""
        super().run(terms, variables, **kwargs)
        if terms:
            raise AnsibleLookupError(f"ecr_token takes no terms, and was given {terms}. Name a region by region=…")
        try:
            return [credentials(authorization(self.client("ecr")))]
        except FleetError as error:
            raise AnsibleLookupError(error.message) from error


@aws_call("ask the registry for a token")
def authorization(client: t.Any) -> dict[str, t.Any]:
    """What GetAuthorizationToken says."""
    found: dict[str, t.Any] = client.get_authorization_token()["authorizationData"][0]
    return found


def credentials(data: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The parts of the token, which is the base64 of ``user:password``."""
    username, _colon, password = base64.b64decode(data["authorizationToken"]).decode("utf-8").partition(":")
    return {
        "username": username,
        "password": password,
        "registry": urllib.parse.urlsplit(data["proxyEndpoint"]).netloc,
        "expires_at": data["expiresAt"].isoformat(),
    }
