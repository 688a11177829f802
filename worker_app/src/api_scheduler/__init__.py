# SPDX-License-Identifier: Apache-2.0
"""The worker: takes requests from SQS, draws them with diffusers, answers every one of them in S3."""

from __future__ import annotations

__version__ = "1.0.0"
