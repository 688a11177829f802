# SPDX-License-Identifier: Apache-2.0
"""What the header of X-Ray's traces says. That it is carried through: test_client."""

from __future__ import annotations

import pytest

from api_scheduler.queues import trace_id

ROOT_ID = "1-67891233-abcdef012345678912345678"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"Root={ROOT_ID};Parent=53995c3f42cd8ad8;Sampled=1", ROOT_ID),
        (f"Sampled=0; Root={ROOT_ID}", ROOT_ID),
        (f"Self=1-67891234-12456789abcdef012345678;Root={ROOT_ID}", ROOT_ID),
        ("", None),
        ("Root=1-67891233-short", None),
        (f"NotRoot={ROOT_ID}", None),
    ],
)
def test_the_root_of_the_header_is_the_trace(header: str, found: str | None) -> None:
    assert trace_id(header) == found
