# SPDX-License-Identifier: GPL-3.0-or-later
"""For all suites, in both environments."""

from __future__ import annotations

import hypothesis

# Two cores are shared with other suites: a slow example is not a failure, and a run can be repeated.
hypothesis.settings.register_profile(
    "fleet",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("fleet")
