# SPDX-License-Identifier: GPL-3.0-or-later
"""An interpreter for Ansible's modules that starts in no time."""

from __future__ import annotations

import collections.abc
import contextlib
import os
import pathlib
import shlex
import subprocess
import sys

from tests.support.playbooks import INTERPRETER

HERE = pathlib.Path(__file__).parent


@contextlib.contextmanager
def warm_modules(folder: pathlib.Path) -> collections.abc.Iterator[None]:
    """Within, ``run_playbook`` runs modules in forks of a Python that has imported boto3; it lives in the folder."""
    path, program = folder / "warm", folder / "python"
    words = [sys.executable, "-I", "-S", str(HERE / "client.py"), str(path)]
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    program.chmod(0o755)
    command = [sys.executable, str(HERE / "server.py"), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None and server.stdout is not None
        if server.stdout.readline() != "ready\n":
            raise RuntimeError(f"{shlex.join(command)} did not start")
        os.environ[INTERPRETER] = str(program)
        try:
            yield
        finally:
            del os.environ[INTERPRETER]
            server.stdin.close()
