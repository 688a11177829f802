# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Documentation fragment of the option that says when a candidate is worse."""

from __future__ import annotations


class ModuleDocFragment:
    """The limits, for every module that judges."""

    DOCUMENTATION = r"""
options:
  limits:
    description: When a candidate is worse.
    type: dict
    default: {}
    suboptions:
      min_jobs:
        description: Jobs that the candidate must finish with success at a step before it can pass.
        type: int
        default: 20
      max_failure_share:
        description: Failed share of the candidate's jobs that is too much by itself, 0 to 1. What stable suffers from as much is only compared.
        type: float
        default: 0.1
      max_refused_share:
        description: Share of requests found invalid that is too much by itself, 0 to 1; V(1.0) sets no limit.
        type: float
        default: 1.0
      min_failures:
        description: Failures, refusals or restarts below this number never fail a release.
        type: int
        default: 2
      max_latency_ratio:
        description: Candidate's draw time per unit of work over stable's that is too much.
        type: float
        default: 1.5
      max_pace_ms:
        description: Candidate's median draw time in milliseconds per megapixel-step that is too much by itself; V(0.0) sets no limit.
        type: float
        default: 0.0
      min_latency_jobs:
        description: Warm jobs on each side before latencies are compared.
        type: int
        default: 5
      instance_spread:
        description: What instances of one release differ by in speed at least, as a share; more is allowed for where stable's instances show it.
        type: float
        default: 0.1
      false_alarms:
        description: Probability that a release no worse than stable is rolled back, over all its looks, steps and comparisons.
        type: float
        default: 0.02
"""
