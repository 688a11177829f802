# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand in for the get-pip.py that ansible-test downloads: install pip from a wheel that lies beside this file.

ansible-test looks for ``get_pip_<version>.py`` in its cache before it asks a server that only ansible.com has; with
this file there, pip comes from PyPI like everything else.
"""

from __future__ import annotations

import pathlib
import runpy
import sys

NOT_FOR_PIP = {"--no-setuptools", "--no-wheel"}

here = pathlib.Path(__file__).resolve()
version = here.stem.removeprefix("get_pip_").replace("_", ".")
(wheel,) = here.parent.glob(f"pip-{version}-*.whl")
sys.path.insert(0, str(wheel))
sys.argv = ["pip", "install", "--upgrade", *(word for word in sys.argv[1:] if word not in NOT_FOR_PIP)]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
