# SPDX-License-Identifier: Apache-2.0
"""Timestamps in answers are read as botocore reads them."""

from __future__ import annotations

import datetime as dt

import pytest
from botocore.utils import parse_timestamp
from hypothesis import given
from hypothesis import strategies as st

from local_aws.clients import timestamp
from tests.support.fleet import make_harness


@given(
    st.datetimes(timezones=st.just(dt.UTC)),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
def test_what_stands_in_xml_is_read_as_botocore_reads_it(moment: dt.datetime, precision: str) -> None:
    text = moment.isoformat(timespec=precision).replace("+00:00", "Z")
    assert timestamp(text) == parse_timestamp(text)
    assert timestamp(text).utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    "value",
    [
        1796000000,
        1796000000.25,
        "1796000000",
        "2026-11-30T10:00:00+02:00",
        "Mon, 30 Nov 2026 10:00:00 GMT",
        "20261130T100000Z",
    ],
)
def test_anything_else_is_left_to_botocore(value: object) -> None:
    assert timestamp(value) == parse_timestamp(value)


@pytest.mark.parametrize("value", ["2026-13-30T10:00:00Z", "no time", ""])
def test_what_is_no_time_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"month|Invalid timestamp"):
        timestamp(value)


def test_clients_read_times_so() -> None:
    with make_harness() as harness:
        data = {"ImageId": "ami-12c6146b"}
        template = harness.client("ec2").create_launch_template(LaunchTemplateName="one", LaunchTemplateData=data)
    assert template["LaunchTemplate"]["CreateTime"].tzinfo is dt.UTC
