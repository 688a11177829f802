# SPDX-License-Identifier: Apache-2.0
"""boto3 clients of local_aws."""

from __future__ import annotations

import datetime as dt
import functools
import re
import typing as t

from local_aws import store

_ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


def make_client(service: str, endpoint: str, attempts: int, signed: bool = True) -> t.Any:
    """A new client of that service which sends a request that many times at most."""
    from botocore import UNSIGNED
    from botocore.config import Config

    return _session().client(
        service,
        endpoint_url=endpoint,
        region_name=store.REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(
            signature_version=None if signed else UNSIGNED,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            user_agent="local_aws",  # botocore puts its own together anew for each request, from twenty parts
        ),
    )


@functools.cache
def _session() -> t.Any:
    """boto3's, with timestamps that cost less."""
    import boto3
    from botocore.session import Session

    made = Session()
    made.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=timestamp)
    return boto3.Session(botocore_session=made)


def timestamp(value: t.Any) -> dt.datetime:
    """As botocore reads it, which asks dateutil: that took a twentieth of a call's time for what XML has in it."""
    if isinstance(value, str) and _ISO_8601.fullmatch(value):
        return dt.datetime.fromisoformat(value)
    from botocore.utils import parse_timestamp

    return t.cast("dt.datetime", parse_timestamp(value))
