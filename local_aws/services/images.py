# SPDX-License-Identifier: Apache-2.0
"""The machine images that exist locally, and the public SSM parameters that name them."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from local_aws import store

GPU_AMI = "ami-0a1b2c3d4e5f60001"
PLAIN_AMI = "ami-0a1b2c3d4e5f60002"
UBUNTU_GPU_AMI = "ami-0a1b2c3d4e5f60003"
_DLAMI = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-"
PUBLIC_PARAMETERS = {
    f"{_DLAMI}amazon-linux-2023/latest/ami-id": GPU_AMI,
    f"{_DLAMI}ubuntu-24.04/latest/ami-id": UBUNTU_GPU_AMI,
    f"{_DLAMI}ubuntu-22.04/latest/ami-id": UBUNTU_GPU_AMI,
    "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64": PLAIN_AMI,
    "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-x86_64": PLAIN_AMI,
}


def install() -> None:
    """List our own images in place of moto's 1301, and answer the public parameters with them."""
    from moto.ec2.models import amis
    from moto.ssm import models
    from moto.ssm.models import Parameter, ParameterDict

    setattr(models, "utcnow", store.world_utcnow)

    # moto reads its list while it is imported, which may have happened before its environment was set.
    amis.AMIS[:] = json.loads(Path(__file__).with_name("amis.json").read_text(encoding="utf-8"))

    load = ParameterDict._check_loading_status

    def check_loading_status(self: t.Any, key: str) -> None:
        """Load our own public parameters in place of moto's, which name images that we do not list."""
        path = str(key or "")
        if not path.startswith(("/aws/service/deeplearning", "/aws/service/ami-amazon-linux-latest")):
            load(self, key)
        elif not self.latest_amis_loaded:
            self.latest_amis_loaded = True
            _add_public_parameters(self, Parameter)

    if load.__name__ != check_loading_status.__name__:
        setattr(ParameterDict, "_check_loading_status", check_loading_status)


def _add_public_parameters(parameters: t.Any, make: t.Any) -> None:
    from moto.core.utils import utcnow

    for name, image in PUBLIC_PARAMETERS.items():
        parameters[name].append(
            make(
                account_id=parameters.account_id,
                name=name,
                value=image,
                parameter_type="String",
                description=None,
                allowed_pattern=None,
                keyid=None,
                last_modified_date=utcnow(),
                version=1,
                data_type="text",
            )
        )
