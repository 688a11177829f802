# SPDX-License-Identifier: Apache-2.0
"""moto's alarms, made to start without data and to keep their state over a Put."""

from __future__ import annotations


def install() -> None:
    """Replace what moto does wrong about alarms."""
