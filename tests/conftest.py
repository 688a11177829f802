# SPDX-License-Identifier: GPL-3.0-or-later
"""For all suites, in both environments."""

from __future__ import annotations

import functools
import gc

import botocore.session
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

# A session reads the service descriptions once for itself, and every module run has sessions of its own: in a test
# process they all share one reader, a third less time.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)


# Nothing that is imported is ever garbage, but each full collection looks through all of it: a fifth of the time
# of a test in one process with local_aws.
gc.disable()


def pytest_collection_finish() -> None:
    """Collect from here on, and only what the tests themselves have made."""
    gc.freeze()
    gc.enable()
