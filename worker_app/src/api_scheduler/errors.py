# SPDX-License-Identifier: Apache-2.0
"""What may be said of an exception in a log that must not hold what requests ask for."""

from __future__ import annotations

import traceback

from api_scheduler.aws import AwsFailure, error_code

_LONGEST = 500


class Told(Exception):
    """An exception whose message quotes nothing of a request: it may be logged."""


def described(error: BaseException, whole: bool) -> str:
    """The exception in a line. Not ``whole``: where its message might quote a prompt, its place stands for it."""
    name = type(error).__name__
    if whole or isinstance(error, Told):
        return f"{name}: {error}"[:_LONGEST]
    if isinstance(error, AwsFailure):
        return f"{name}: {error_code(error)}"[:_LONGEST]
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return name
    file = frames[-1].filename.replace("\\", "/").rpartition("/")[2]
    return f"{name} at {file}:{frames[-1].lineno} in {frames[-1].name}"
