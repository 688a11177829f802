# SPDX-License-Identifier: Apache-2.0
"""Standard queues over HTTP, on virtual time; long polls and races on the machine's clock."""

from __future__ import annotations

import collections.abc
import contextlib
import json
import threading
import typing as t

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local_aws.clock import SystemClock
from local_aws.harness import Harness


@pytest.fixture
def harness() -> collections.abc.Iterator[Harness]:
    with Harness() as running:
        yield running


@pytest.fixture
def sqs(harness: Harness) -> t.Any:
    return harness.client("sqs")


def make(sqs: t.Any, name: str = "q", **attributes: str) -> str:
    return t.cast(str, sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


def receive(sqs: t.Any, url: str, **arguments: t.Any) -> list[dict[str, t.Any]]:
    reply = sqs.receive_message(
        QueueUrl=url, MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"], **arguments
    )
    return t.cast("list[dict[str, t.Any]]", reply.get("Messages", []))


def counts(sqs: t.Any, url: str) -> tuple[int, int, int]:
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    visible, not_visible, delayed = (int(found[name]) for name in names)
    return visible, not_visible, delayed


def test_a_received_message_comes_back_when_its_visibility_ends(harness: Harness, sqs: t.Any) -> None:
    url = make(sqs, VisibilityTimeout="30")
    sqs.send_message(QueueUrl=url, MessageBody="a")
    assert [m["Attributes"]["ApproximateReceiveCount"] for m in receive(sqs, url)] == ["1"]
    assert counts(sqs, url) == (0, 1, 0)
    harness.clock.advance(29)
    assert receive(sqs, url) == []
    harness.clock.advance(1)
    assert [m["Attributes"]["ApproximateReceiveCount"] for m in receive(sqs, url)] == ["2"]


def test_visibility_can_be_extended_and_ended(harness: Harness, sqs: t.Any) -> None:
    url = make(sqs, VisibilityTimeout="30")
    sqs.send_message(QueueUrl=url, MessageBody="a")
    handle = receive(sqs, url)[0]["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=100)
    harness.clock.advance(99)
    assert receive(sqs, url) == []
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    assert len(receive(sqs, url)) == 1


def test_total_visibility_ends_twelve_hours_after_the_first_receive(harness: Harness, sqs: t.Any) -> None:
    url = make(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="a")
    handle = receive(sqs, url, VisibilityTimeout=43200)[0]["ReceiptHandle"]
    harness.clock.advance(10)
    with pytest.raises(ClientError, match="beyond the limit"):
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43195)


def test_an_expired_handle_cannot_hold_a_message_and_an_old_one_does_not_delete_it(
    harness: Harness, sqs: t.Any
) -> None:
    url = make(sqs, VisibilityTimeout="5")
    sqs.send_message(QueueUrl=url, MessageBody="a")
    old = receive(sqs, url)[0]["ReceiptHandle"]
    harness.clock.advance(5)
    with pytest.raises(ClientError, match="not available for visibility timeout change"):
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=old, VisibilityTimeout=10)
    new = receive(sqs, url)[0]["ReceiptHandle"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=old)
    assert counts(sqs, url) == (0, 1, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=new)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=new)
    assert counts(sqs, url) == (0, 0, 0)
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=url, ReceiptHandle="nonsense")


def test_delayed_messages_wait(harness: Harness, sqs: t.Any) -> None:
    url = make(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="a", DelaySeconds=7)
    assert (receive(sqs, url), counts(sqs, url)) == ([], (0, 0, 1))
    harness.clock.advance(7)
    assert len(receive(sqs, url)) == 1


def test_after_too_many_receives_a_message_is_a_dead_letter_and_can_be_moved_back(harness: Harness, sqs: t.Any) -> None:
    dead = make(sqs, "dead")
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    url = make(
        sqs, "q", VisibilityTimeout="1", RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    )
    sent = sqs.send_message(QueueUrl=url, MessageBody="a")["MessageId"]
    for _unused in range(2):
        assert len(receive(sqs, url)) == 1
        harness.clock.advance(1)
    assert receive(sqs, url) == []
    buried = receive(sqs, dead, VisibilityTimeout=0)[0]
    assert (buried["MessageId"], buried["Attributes"]["DeadLetterQueueSourceArn"].rsplit(":", 1)[-1]) == (sent, "q")
    sqs.start_message_move_task(SourceArn=arn)
    assert sqs.list_message_move_tasks(SourceArn=arn)["Results"][0]["ApproximateNumberOfMessagesMoved"] == 1
    assert receive(sqs, url)[0]["Attributes"]["ApproximateReceiveCount"] == "1"


def test_attributes_of_messages_come_through(harness: Harness, sqs: t.Any) -> None:
    url = make(sqs)
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sqs.send_message(
        QueueUrl=url,
        MessageBody="ä",
        MessageSystemAttributes=trace,
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "smoke"}},
    )
    message = receive(sqs, url)[0]
    assert (message["Body"], message["MessageAttributes"]["kind"]["StringValue"]) == ("ä", "smoke")
    assert message["Attributes"]["AWSTraceHeader"].startswith("Root=1-")
    assert int(message["Attributes"]["SentTimestamp"]) == int(harness.clock.now().timestamp() * 1000)


def test_batches_report_each_entry(sqs: t.Any) -> None:
    url = make(sqs, MaximumMessageSize="1024")
    sent = sqs.send_message_batch(
        QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "x"}, {"Id": "b", "MessageBody": "x" * 1025}]
    )
    assert ([e["Id"] for e in sent["Successful"]], [e["Id"] for e in sent["Failed"]]) == (["a"], ["b"])
    handle = receive(sqs, url)[0]["ReceiptHandle"]
    entries = [
        {"Id": "a", "ReceiptHandle": handle, "VisibilityTimeout": 9},
        {"Id": "b", "ReceiptHandle": "no", "VisibilityTimeout": 9},
    ]
    changed = sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
    assert ([e["Id"] for e in changed["Successful"]], [e["Id"] for e in changed["Failed"]]) == (["a"], ["b"])
    gone = sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": handle}])
    assert [e["Id"] for e in gone["Successful"]] == ["a"]


def test_a_message_may_have_one_mebibyte_and_no_more(sqs: t.Any) -> None:
    url = make(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="x" * 1024 * 1024)
    with pytest.raises(ClientError, match="must be shorter"):
        sqs.send_message(QueueUrl=url, MessageBody="x" * (1024 * 1024 + 1))


def test_old_messages_and_purged_ones_are_gone(harness: Harness, sqs: t.Any) -> None:
    url = make(sqs, MessageRetentionPeriod="60")
    sqs.send_message(QueueUrl=url, MessageBody="a")
    harness.clock.advance(60)
    assert counts(sqs, url) == (0, 0, 0)
    sqs.send_message(QueueUrl=url, MessageBody="b")
    sqs.purge_queue(QueueUrl=url)
    assert receive(sqs, url) == []


class _RealTime(Harness):
    """A harness on the machine's clock, for what really waits."""

    def __init__(self) -> None:
        super().__init__()
        self.world.clock = SystemClock()


def test_a_long_poll_wakes_at_once_and_ends_with_the_server() -> None:
    with _RealTime() as running:
        sqs = running.client("sqs")
        url = make(sqs)
        found: list[list[dict[str, t.Any]]] = []
        poll = threading.Thread(target=lambda: found.append(receive(sqs, url, WaitTimeSeconds=20)))
        poll.start()
        sqs.send_message(QueueUrl=url, MessageBody="a")
        poll.join(15)
        assert [m["Body"] for m in found[0]] == ["a"]

        def poll_until_closed() -> None:
            with contextlib.suppress(BotoCoreError, ClientError):  # the connection may go with the server
                receive(sqs, url, WaitTimeSeconds=20)

        last = threading.Thread(target=poll_until_closed, daemon=True)
        last.start()
    last.join(15)
    assert not last.is_alive()


def test_many_senders_and_workers_lose_and_double_nothing() -> None:
    with _RealTime() as running:
        sqs = running.client("sqs")
        url = make(sqs, VisibilityTimeout="300")
        seen: list[str] = []

        def send(sender: int) -> None:
            for batch in range(10):
                sqs.send_message_batch(
                    QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": f"{sender}-{batch}-{n}"} for n in range(10)]
                )

        def work() -> None:
            while messages := receive(sqs, url, MaxNumberOfMessages=10, WaitTimeSeconds=1):
                for message in messages:
                    seen.append(message["Body"])
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

        threads = [threading.Thread(target=send, args=(n,)) for n in range(2)] + [
            threading.Thread(target=work) for _unused in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(seen) == 200 and len(set(seen)) == 200
        assert counts(sqs, url) == (0, 0, 0)
