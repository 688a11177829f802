# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Documentation fragments of the attributes that every module declares."""

from __future__ import annotations


class ModuleDocFragment:
    """What check mode, diff mode and idempotence mean; each module says how far it supports them."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and predict the result without changing anything.
  diff_mode:
    description: Returns what has changed, or would change, when diff mode is on.
  idempotent:
    description: A second run with the same options changes nothing.
"""

    # For modules that read only: V(full) throughout.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and predict the result without changing anything.
    support: full
    details:
      - This module reads only.
  diff_mode:
    description: Returns what has changed, or would change, when diff mode is on.
    support: N/A
    details:
      - This module reads only.
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
    details:
      - This module reads only.
"""

    ACTIONGROUP_FLEET = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/diffusion.fleet.fleet) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - diffusion.fleet.fleet
"""
