# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What the modules of images have in common: the options that name the repository, and how a use case is run."""

from __future__ import annotations

import typing as t

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._images.reference import repository_of

ONE_OF = [("deployment_id", "repository")]


def run(arguments: t.Mapping[str, t.Any], use_case: t.Callable[[t.Any, str], dict[str, t.Any]]) -> None:
    """Run a module with these arguments beside the repository's: the use case takes the module and the repository."""
    module = AnsibleAWSModule(
        argument_spec={"deployment_id": {"type": "str"}, "repository": {"type": "str"}, **arguments},
        supports_check_mode=True,
        mutually_exclusive=ONE_OF,
        required_one_of=ONE_OF,
    )
    try:
        repository = module.params["repository"] or repository_of(module.params["deployment_id"])
        result = use_case(module, repository)
    except FleetError as error:
        module.fail_json(msg=error.message, **error.details)
    module.exit_json(**result)
