# SPDX-License-Identifier: Apache-2.0
"""What moto's own Flask applications answer, local_aws answers too."""

from __future__ import annotations

import collections.abc
import io
import re
import typing as t
from urllib.parse import quote

import pytest
from botocore.model import OperationNotFoundError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import run_wsgi_app

from local_aws.harness import Harness
from local_aws.services.application import Application

Answer = tuple[str, dict[str, str], bytes]
_RANDOM = re.compile(rb"[0-9A-Za-z]{52}|[0-9a-f]{8}-[0-9a-f-]{27}")
_LEFT_OUT = ("access-control-", "x-amzn-requestid", "x-amz-request-id")
TARGETS = (
    "AmazonSSM.GetParameter",
    "AmazonSSM.DescribeParameters",
    "AmazonSSM.PutNothing",
    "AmazonSQS.ListQueues",
    "Logs",
)


@pytest.fixture(scope="module")
def apps() -> collections.abc.Iterator[list[DomainDispatcherApplication]]:
    """Moto's and ours, with a bucket, an object and a parameter in the world that both answer for."""
    with Harness() as running:
        running.client("s3").create_bucket(Bucket="bucket")
        running.client("s3").put_object(Bucket="bucket", Key="a b/ü.png", Body=b"picture", ContentType="image/png")
        running.client("ssm").put_parameter(Name="/a", Value="1", Type="String")
        yield [
            DomainDispatcherApplication(create_backend_app),
            DomainDispatcherApplication(t.cast("t.Any", Application)),
        ]


def ask(app: t.Any, service: str, method: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> Answer:
    """One request, as it stands on the wire; what differs from one answer to the next is left out."""
    scope = f"local/20260101/us-east-1/{service}/aws4_request"
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode().decode("latin-1"),
        "RAW_URI": quote(path) + (f"?{query}" if query else ""),
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:80",
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        **headers,
    }
    chunks, status, found = run_wsgi_app(app, environ)
    told = {name.lower(): value for name, value in found if not name.lower().startswith(_LEFT_OUT)}
    told |= {"date": "#"} if "date" in told else {}
    return status, told, _RANDOM.sub(b"#", b"".join(chunks))


PATHS = st.one_of(
    st.sampled_from(
        ["/", "//", "/bucket", "/bucket/", "/bucket//", "/bucket/a b/ü.png", "/bucket/50%2Foff", "/none/x", "/moto"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12).map(lambda name: f"/bucket/{name}"),
)
QUERIES = st.sampled_from(
    ["", "list-type=2", "list-type=2&prefix=a%20b", "versioning", "acl", "x=%FF", "&&=", "tagging"]
)


@given(method=st.sampled_from(["GET", "HEAD"]), path=PATHS, query=QUERIES)
@settings(max_examples=150, deadline=None)
def test_s3_reads_as_moto_itself_has_it(apps: list[t.Any], method: str, path: str, query: str) -> None:
    theirs, ours = (ask(app, "s3", method, path, query) for app in apps)
    assert ours == theirs


@given(target=st.sampled_from(TARGETS), body=st.sampled_from([b"{}", b'{"Name": "/a"}', b'{"Name": "/b"}', b"[", b""]))
@settings(max_examples=30, deadline=None)
def test_json_as_moto_itself_has_it(apps: list[t.Any], target: str, body: bytes) -> None:
    service = {"AmazonSQS": "sqs", "AmazonSSM": "ssm"}.get(target.partition(".")[0], "logs")
    headers = {"HTTP_X_AMZ_TARGET": target, "CONTENT_TYPE": "application/x-amz-json-1.1"}
    theirs, ours = (outcome(app, service, "POST", "/", body=body, **headers) for app in apps)
    assert ours == theirs


@pytest.mark.parametrize("service", ["ec2", "iam", "sts", "sns", "cloudwatch", "autoscaling"])
@pytest.mark.parametrize("action", ["DescribeInstances", "ListUsers", "GetCallerIdentity", "ListTopics", "Nothing", ""])
def test_forms_as_moto_itself_has_them(apps: list[t.Any], service: str, action: str) -> None:
    body = f"Action={action}&Version=2016-11-15".encode()
    headers = {"CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8"}
    theirs, ours = (outcome(app, service, "POST", "/", body=body, **headers) for app in apps)
    assert ours == theirs


def outcome(app: t.Any, *arguments: t.Any, **options: t.Any) -> t.Any:
    """The answer, or the name of what moto lets out, which its server turns into one."""
    try:
        return ask(app, *arguments, **options)
    except (AttributeError, NotImplementedError, OperationNotFoundError) as error:  # what moto lets out: both have to
        return type(error).__name__
