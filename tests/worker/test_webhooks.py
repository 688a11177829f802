# SPDX-License-Identifier: Apache-2.0
"""Webhooks: signed, to allowed hosts only, and of no consequence to any job whatever the receiver does."""

from __future__ import annotations

import base64
import datetime as dt
import http.client
import io
import itertools
import json
import math
import threading
import typing as t
from pathlib import Path

import pytest

from api_scheduler.clock import SystemClock
from api_scheduler.documents.envelope import InvalidRequest
from api_scheduler.logs import Log
from api_scheduler.webhooks import TRIES, Webhooks
from api_scheduler.webhooks.addresses import Hosts, NotAllowed, Target
from api_scheduler.webhooks.post import Poster
from api_scheduler.webhooks.secret import Secret
from api_scheduler.webhooks.signing import InvalidSecret, headers, secrets
from tests.worker.harness import Deployment, StartWorker, until
from tests.worker.receiver import Receiver
from tests.worker.test_client import client_of

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Receiver]:
    """A receiver for all tests of this file."""
    running = Receiver(tmp_path_factory.mktemp("receiver"))
    yield running
    running.close()


# -- where it may go ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example.com/", "https"),
        ("https://other.example.com/", "none of those"),
        ("https://hooks.example.com:8443/", "none of those"),
        ("https://hooks.example.com.evil.org/", "none of those"),
        ("https://hooks.example.com@evil.org/", "user"),
        ("https://user:word@hooks.example.com/", "user"),
        ("https://evil.org\\@hooks.example.com/", "user"),
        ("https://hooks.example.com:99999/", "no address"),
        ("https://hooks.example.com/a b", "printable"),
        ("https://hooks.example.com/\r\nHost: x", "printable"),
        ("https://hooks.exämple.com/", "printable"),
        ("https:///path", "host"),
        ("https://[::1/", "no address"),
        ("file:///etc/passwd", "https"),
        ("", "printable"),
        ("https://hooks.example.com/" + "a" * 2048, "2048"),
    ],
)
def test_an_address_that_is_not_allowed_is_refused(url: str, reason: str) -> None:
    with pytest.raises(NotAllowed, match=reason) as refused:
        Hosts(frozenset({"hooks.example.com"})).target(url)
    assert "path" not in str(refused.value)


def test_an_allowed_address_is_taken_apart() -> None:
    hosts = Hosts(frozenset({"hooks.example.com", "own.example.com:8443"}))
    assert hosts.target("https://HOOKS.example.com.:443/a?b=c#d") == Target("hooks.example.com", 443, "/a?b=c")
    assert hosts.target("https://own.example.com:8443") == Target("own.example.com", 8443, "/")
    with pytest.raises(NotAllowed, match="sends no webhooks"):
        Hosts().target("https://hooks.example.com/")


@pytest.mark.parametrize(
    "address",
    [
        *(
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
        ),
        *("::1", "::", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "ff02::1", "fe80::1%eth0"),
    ],
)
def test_a_name_with_a_private_address_is_refused_unless_it_may_have_one(address: str) -> None:
    target = Target("in.example.com", 443, "/")
    with pytest.raises(NotAllowed, match=r"in\.example\.com"):
        Hosts(public=frozenset({"in.example.com"})).check(target, ["93.184.216.34", address])
    if not address.startswith("fe80"):
        Hosts(private=frozenset({"in.example.com"})).check(target, [address])


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1%eth0", "fd00:ec2::254", "::ffff:169.254.169.254"])
def test_instance_metadata_is_no_receiver_under_any_name(address: str) -> None:
    with pytest.raises(NotAllowed):
        Hosts(private=frozenset({"x"})).check(Target("x", 443, "/"), [address])


def test_public_addresses_are_fine() -> None:
    Hosts(frozenset({"x"})).check(Target("x", 443, "/"), ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])


# -- signatures -----------------------------------------------------------------------------------------------------


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of the specification's own libraries.
    keys = secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = headers(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (made["webhook-id"], made["webhook-timestamp"]) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330")


def test_while_a_secret_is_replaced_both_sign() -> None:
    made = headers(secrets(f"{SECRET} whsec_{'A' * 32}\n"), "msg_1", 1, b"{}")
    assert len(made["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize("text", ["", "plain words here", "whsec_c2hvcnQ=", "whsec_!!!", SECRET[6:]])
def test_a_secret_of_another_form_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InvalidSecret) as refused:
        secrets(text)
    assert text == "" or text not in str(refused.value)


# -- one POST -------------------------------------------------------------------------------------------------------


def post(receiver: Receiver, path: str, seconds: float = 0.6, **hosts: frozenset[str]) -> int:
    """One POST to the receiver."""
    allowed = Hosts(**(hosts or {"private": frozenset({receiver.host})}))
    poster = Poster(allowed, str(receiver.certificate), seconds)
    return poster(allowed.target(receiver.url(path)), b"{}", {})


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    before = len(receiver.received)
    assert [post(receiver, path, 60) for path in ("/ok", "/500", "/redirect")] == [204, 500, 302]
    assert [path for path, _headers, _body in receiver.received[before:]] == ["/ok", "/500", "/redirect"]


@pytest.mark.parametrize("path", ["/hang", "/drip"])
def test_a_post_ends_whatever_the_receiver_does(receiver: Receiver, path: str) -> None:
    clock = SystemClock()
    began = clock.monotonic()
    with pytest.raises((OSError, http.client.HTTPException)):
        post(receiver, path)
    assert clock.monotonic() - began < 30


def test_a_private_address_gets_no_connection_and_a_stranger_no_body(receiver: Receiver, tmp_path: Path) -> None:
    before = len(receiver.received)
    with pytest.raises(NotAllowed, match="not public"):
        post(receiver, "/ok", public=frozenset({receiver.host}))
    allowed = Hosts(private=frozenset({receiver.host}))
    with pytest.raises(OSError, match="certificate verify failed"):
        Poster(allowed, "", 60)(allowed.target(receiver.url("/ok")), b"{}", {})
    assert len(receiver.received) == before


# -- the line -------------------------------------------------------------------------------------------------------


class FastClock(SystemClock):
    """Time passes when it is waited for; ``over`` is set once ``ends`` is reached."""

    def __init__(self) -> None:
        self.at, self.ends, self.over = 0.0, math.inf, threading.Event()

    def now(self) -> dt.datetime:
        return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=self.at)

    def monotonic(self) -> float:
        return self.at

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if self.at >= self.ends:
            self.over.set()
        self.at += 0.0 if event.is_set() else max(seconds, 0.01)
        return event.is_set()


class Line:
    """A line of webhooks with a receiver in this process; ``answers`` holds a status or an exception for each host."""

    def __init__(self, answers: dict[str, t.Any]) -> None:
        self.clock, self.answers, self.output = FastClock(), answers, io.StringIO()
        self.posts: list[tuple[float, str, dict[str, str], bytes]] = []
        self.enough = threading.Event()
        self.log = Log(self.clock, {}, self.output)
        self.webhooks = Webhooks(Hosts(frozenset(answers)), lambda: (KEY,), self.post, 5.0, self.clock, self.log)

    def post(self, target: Target, body: bytes, sent: t.Mapping[str, str]) -> int:
        self.posts.append((self.clock.at, target.host, dict(sent), body))
        answer = self.answers[target.host]
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    def tell(self, request_id: str, host: str) -> None:
        self.webhooks.tell(
            json.dumps({"webhook": f"https://{host}/x"}), {"id": request_id, "status": "succeeded", "key": "k"}
        )

    def run_for(self, seconds: float) -> None:
        """Let the thread's body run until that much time has passed."""
        self.clock.ends = self.clock.at + seconds
        self.clock.over.clear()
        self.webhooks.run(self.clock.over)

    def said(self, message: str) -> list[dict[str, t.Any]]:
        lines = [json.loads(line) for line in self.output.getvalue().splitlines()]
        return [line for line in lines if line["message"] == message]


@pytest.mark.parametrize(
    "answer", [500, 302, 404, OSError("refused"), http.client.BadStatusLine("x"), UnicodeError("idna"), ValueError("x")]
)
def test_a_failing_host_is_tried_ever_more_rarely_and_given_up(answer: t.Any) -> None:
    line = Line({"a": answer})
    line.tell("one", "a")
    line.run_for(2000)
    assert len(line.posts) == TRIES
    times = [at for at, *_rest in line.posts]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses == pytest.approx([5, 20, 80, 320], abs=1.1)
    assert len({sent["webhook-id"] for _at, _host, sent, _body in line.posts}) == 1
    assert [one["failures"] for one in line.said("webhook given up")] == [TRIES]


def test_a_host_that_says_gone_is_not_tried_again() -> None:
    line = Line({"a": 410})
    line.tell("one", "a")
    line.run_for(100)
    assert len(line.posts) == 1 and line.said("webhook given up")[0]["reason"] == "410"


def test_a_failing_host_does_not_hold_up_another() -> None:
    line = Line({"bad": OSError("no"), "good": 200})
    for number in range(20):
        line.tell(f"bad-{number}", "bad")
    line.tell("fine", "good")
    line.run_for(1)
    assert [host for _at, host, *_rest in line.posts] == ["bad", "good"]


def test_the_line_is_bounded_and_telling_never_fails() -> None:
    line = Line({"a": 200})
    for number in range(1005):
        line.tell(str(number), "a")
    assert len(line.said("webhook given up")) == 5
    for body in (
        "[" * 100_000 + '"webhook"',
        "not json webhook",
        '{"webhook": 7}',
        '["webhook"]',
        '{"webhook": "ftp://a"}',
    ):
        line.webhooks.tell(body, {"id": "x", "status": "failed"})
    line.run_for(1)
    assert len(line.posts) == 1000


def test_a_repeated_notice_has_the_same_id_and_an_escaped_field_counts() -> None:
    line = Line({"a": 200})
    line.tell("one", "a")
    line.tell("one", "a")
    line.tell("two", "a")
    line.webhooks.tell('{"\\u0077ebhook": "https://a/x"}', {"id": "three", "status": "expired"})
    line.run_for(1)
    ids = [sent["webhook-id"] for _at, _host, sent, _body in line.posts]
    assert ids[0] == ids[1] and len(set(ids)) == 3
    assert json.loads(line.posts[3][3])["type"] == "request.expired"


def test_when_the_worker_stops_what_was_never_tried_is_sent_and_the_rest_is_told() -> None:
    line = Line({"bad": OSError("no"), "good": 200})
    line.tell("lost", "bad")
    line.run_for(1)
    line.tell("last", "good")
    stopped = threading.Event()
    stopped.set()
    line.webhooks.run(stopped)
    line.webhooks.finish(0.1)
    assert [host for _at, host, *_rest in line.posts] == ["bad", "good"]
    assert [one["request_id"] for one in line.said("webhook given up")] == ["lost"]


def test_a_request_with_another_host_is_refused_by_name() -> None:
    webhooks = Line({"a": 200}).webhooks
    webhooks.check(None, "id", None)
    webhooks.check("https://a/x", "id", None)
    with pytest.raises(InvalidRequest, match="webhook: host b is none"):
        webhooks.check("https://b/x", "id", {"kept": 1})


# -- the worker -----------------------------------------------------------------------------------------------------


def settings(receiver: Receiver) -> dict[str, str]:
    """A worker's settings for this receiver."""
    return {
        "SD_WEBHOOK_PRIVATE_HOSTS": receiver.host,
        "SD_WEBHOOK_CA_FILE": str(receiver.certificate),
        "SD_WEBHOOK_SECONDS": "1",
        "SD_WEBHOOK_BACKOFF_SECONDS": "0.2",
    }


def asking(request_id: str, url: str, **payload: t.Any) -> dict[str, t.Any]:
    """A request that wants to be told."""
    fields = {"prompt": "x", "steps": 1, **payload}
    return {"id": request_id, "api": "/sdapi/v1/txt2img", "payload": fields, "webhook": url}


def test_every_end_is_told_with_a_valid_signature_and_the_secret_stays_secret(
    deployment: Deployment, start: StartWorker, receiver: Receiver
) -> None:
    parameter = f"/sd-inference/{deployment.name}/webhook-secret"
    deployment.ssm.put_parameter(Name=parameter, Value=SECRET, Type="SecureString")
    path = f"/{deployment.name}/ok"
    deployment.send(asking("good", receiver.url(path)))
    deployment.send(asking("bad", receiver.url(path), width=65))
    deployment.send(asking("gone", receiver.url(path)))
    client_of(deployment).cancel("gone")
    deployment.send(asking("elsewhere", "https://example.org/"))
    worker = start(settings(receiver))
    refused = deployment.wait("elsewhere")
    assert refused["error"]["message"].startswith("webhook: host example.org")
    got = until(lambda: len(found := [row for row in receiver.received if row[0] == path]) == 3 and found)
    for _path, sent, body in got:
        at = int(sent["webhook-timestamp"])
        assert headers((KEY,), sent["webhook-id"], at, body)["webhook-signature"] == sent["webhook-signature"]
        assert abs(at - dt.datetime.now(dt.UTC).timestamp()) < 300 and sent["content-type"] == "application/json"
    told = {(row := json.loads(body))["data"]["id"]: row["type"] for _path, _sent, body in got}
    assert told == {"good": "request.succeeded", "bad": "request.failed", "gone": "request.cancelled"}
    assert worker.terminate() == 0
    assert SECRET[6:] not in json.dumps(worker.lines) and path not in json.dumps(worker.lines)


def test_no_receiver_stops_or_slows_a_worker(deployment: Deployment, start: StartWorker, receiver: Receiver) -> None:
    parameter = f"/sd-inference/{deployment.name}/webhook-secret"
    deployment.ssm.put_parameter(Name=parameter, Value=SECRET, Type="SecureString")
    worker = start({**settings(receiver), "SD_WEBHOOK_PRIVATE_HOSTS": f"{receiver.host},localhost:9"}).until_ready()
    urls = [receiver.url(path) for path in ("/hang", "/drip", "/500", "/redirect")] + ["https://localhost:9/x"]
    for number in range(20):
        deployment.send(asking(f"r{number}", urls[number % len(urls)]))
    jobs = worker.jobs(20)
    assert {line["outcome"] for line in jobs} == {"succeeded"}
    deployment.settle(worker)
    until(lambda: {line["host"] for line in worker.events("log") if "webhook" in line["message"]} >= {"localhost:9"})
    assert worker.get("/health")[0] == 200
    assert worker.terminate() == 0
    assert [line["host"] for line in worker.events("log") if line["message"] == "webhook given up"]


def test_without_a_secret_nothing_is_sent_and_a_new_one_is_found(deployment: Deployment) -> None:
    parameter = f"/sd-inference/{deployment.name}/webhook-secret"
    line = Line({"a": 200})
    secret = Secret(deployment.ssm, parameter, line.clock)
    line.webhooks = Webhooks(Hosts(frozenset({"a"})), secret, line.post, 5.0, line.clock, line.log)
    line.tell("one", "a")
    line.run_for(1)
    assert (line.posts, line.said("webhook given up")[0]["reason"]) == ([], "the worker stops")
    assert "ParameterNotFound" in line.said("webhook failed")[0]["reason"]
    for value in (SECRET, f"whsec_{'A' * 32} {SECRET}"):
        deployment.ssm.put_parameter(Name=parameter, Value=value, Type="SecureString", Overwrite=True)
        line.clock.at += 301
        line.tell("two", "a")
        line.run_for(1)
    signatures = [len(sent["webhook-signature"].split(" ")) for _at, _host, sent, _body in line.posts]
    assert signatures == [1, 2]
