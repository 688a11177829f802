# SPDX-License-Identifier: GPL-3.0-or-later
"""How requests are packed into messages and batches, over many inputs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.diffusion.fleet.plugins.module_utils._requests.body import Request, batches, parse_request

REQUESTS = st.lists(st.text("é x", max_size=40).map(lambda body: Request("a", body)), max_size=40)


@given(REQUESTS, st.integers(1, 10), st.integers(80, 200))
def test_batches_keep_order_and_limits(requests: list[Request], count: int, size: int) -> None:
    groups = batches(requests, count, size)
    assert [request for group in groups for request in group] == requests
    assert all(1 <= len(group) <= count for group in groups)
    assert all(sum(len(request.body.encode()) for request in group) <= size for group in groups)


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.integers(), min_size=1))
def test_the_order_of_fields_does_not_matter(payload: dict[str, int]) -> None:
    turned = dict(reversed(payload.items()))
    one, other = (parse_request({"payload": each}, "requests[0]") for each in (payload, turned))
    assert one == other
