# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What an instance is told at its first boot: cloud-config, the same text for the same settings."""

from __future__ import annotations

import json
import re
import shlex
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput

ENV_PATH = "/etc/sd-inference/worker.env"
ENV_NAME = re.compile(r"^[A-Z][A-Z0-9_]*$")
FIRST_BOOT_PATH = "/usr/local/sbin/sd-first-boot"
FIRST_BOOT_FIELDS = ("artifact", "sha256", "python", "requirement", "variables")
LONGEST = 16384
"""EC2 takes no more bytes of user data than that."""

START = "  - [systemctl, enable, --now, sd-worker.service]\n"

# A stock image has neither Ansible nor the collection. Where it cannot become a host, the launch is abandoned at once
# instead of at the end of its hook's time; where even that fails, the hook's default does the same later.
FIRST_BOOT = """\
#!/bin/sh
# Makes a host of a stock image with the collection's role gpu_worker; where the worker's unit is, it does nothing.
set -eu
[ ! -e /etc/systemd/system/sd-worker.service ] || exit 0
. /etc/sd-inference/first-boot.env
# Its values are no words of a shell: they may have spaces.
while IFS= read -r line; do export "$line"; done < /etc/sd-inference/worker.env
mkdir -p /var/log/sd-inference /opt/sd-inference/ansible
exec >>/var/log/sd-inference/host.log 2>&1
endpoint=${AWS_ENDPOINT_URL:+--endpoint-url=$AWS_ENDPOINT_URL}
metadata=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
imds() {
  token=$(curl -fsS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "${metadata%/}/latest/api/token")
  curl -fsS -H "X-aws-ec2-metadata-token: $token" "${metadata%/}/latest/meta-data/$1"
}
abandon() {
  [ $? -ne 0 ] || return 0
  echo "sd-first-boot: this image cannot become a host: the launch is abandoned"
  aws $endpoint autoscaling complete-lifecycle-action --lifecycle-hook-name launch --lifecycle-action-result ABANDON \\
    --auto-scaling-group-name "$SD_GROUP" --instance-id "$(imds instance-id)"
}
trap abandon EXIT
AWS_DEFAULT_REGION=$(imds placement/region)
export AWS_DEFAULT_REGION
cd /opt/sd-inference/ansible
aws $endpoint s3 cp --no-progress "$ARTIFACT" diffusion-fleet.tar.gz
echo "$SHA256  diffusion-fleet.tar.gz" | sha256sum --check
"$PYTHON" -m venv venv || {
  if command -v dnf >/dev/null; then dnf install -y "$PYTHON" "$PYTHON-pip"; else apt-get install -y "$PYTHON-venv"; fi
  "$PYTHON" -m venv venv
}
venv/bin/pip install --quiet "$REQUIREMENT"
venv/bin/ansible-galaxy collection install --offline --no-deps -p collections diffusion-fleet.tar.gz
ANSIBLE_COLLECTIONS_PATH=$PWD/collections venv/bin/ansible-playbook -i localhost, -e @/etc/sd-inference/role.json \\
  diffusion.fleet.host
"""


def user_data(environment: t.Mapping[str, str], first_boot: t.Mapping[str, t.Any] | None = None) -> str:
    """Cloud-config that writes the worker's environment file and starts its unit.

    With ``first_boot`` a stock image becomes a host before that. Raises InvalidInput for what such files cannot hold.
    """
    lines = [_env_line(name, value) for name, value in sorted(environment.items())]
    files = _file(ENV_PATH, "0640", "".join(f"{line}\n" for line in lines))
    commands = START
    if first_boot:
        files += _first_boot(first_boot)
        commands = f"  - [{FIRST_BOOT_PATH}]\n{START}"
    text = f"#cloud-config\nwrite_files:\n{files}runcmd:\n{commands}"
    if len(text.encode()) > LONGEST:
        raise InvalidInput(
            f"the user data have {len(text.encode())} bytes, EC2 takes {LONGEST}: put less into fleet_worker_env or "
            "fleet_host_variables, or bake an image."
        )
    return text


def _file(path: str, mode: str, content: str) -> str:
    body = "".join(f"      {line}\n" if line else "\n" for line in content.splitlines())
    return f'  - path: {path}\n    permissions: "{mode}"\n    content: |\n{body}'


def _first_boot(settings: t.Mapping[str, t.Any]) -> str:
    missing = [name for name in FIRST_BOOT_FIELDS if name not in settings]
    if missing:
        raise InvalidInput(f"the host settings' first_boot has no {', '.join(missing)}: run provision.yml again.")
    words = [
        f"{name.upper()}={shlex.quote(str(settings[name]))}\n" for name in FIRST_BOOT_FIELDS if name != "variables"
    ]
    variables = json.dumps(settings["variables"], sort_keys=True) + "\n"
    return (
        _file("/etc/sd-inference/first-boot.env", "0640", "".join(words))
        + _file("/etc/sd-inference/role.json", "0640", variables)
        + _file(FIRST_BOOT_PATH, "0755", FIRST_BOOT)
    )


def _env_line(name: str, value: str) -> str:
    if not ENV_NAME.match(name) or "\n" in str(value):
        raise InvalidInput(
            f"worker_env: {name}={value!r} cannot stand in an environment file: use a name of capitals, digits and "
            "underscores and a value on one line, then run provision.yml."
        )
    return f"{name}={value}"
