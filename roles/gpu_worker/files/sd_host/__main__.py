# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m sd_host prepare | ended | check | agent-config FILE``: called by systemd, and by the role."""

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

from sd_host import agent_config, settings
from sd_host.duties import Host

USAGE = "usage: python3 -m sd_host prepare | ended | check | agent-config FILE"


def main(arguments: t.Sequence[str], environ: t.Mapping[str, str]) -> int:
    """Do one of them; the exit status."""
    if len(arguments) == 2 and arguments[0] == "agent-config":
        return agent_config.main(Path(arguments[1]))
    if len(arguments) != 1 or arguments[0] not in ("prepare", "ended", "check"):
        print(USAGE, file=sys.stderr)
        return 2
    try:
        host = Host(settings.read(Path(environ.get("SD_HOST_SETTINGS", settings.SETTINGS_FILE))))
    except settings.InvalidSettings as error:
        print(error, file=sys.stderr)
        return 1
    if arguments[0] == "ended":
        return host.ended(environ)
    return host.prepare() if arguments[0] == "prepare" else host.check()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
