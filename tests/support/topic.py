# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who listens to a topic: a queue that is subscribed to it."""

from __future__ import annotations

import json
import typing as t


class Listener:
    """What a topic of a fleet says from now on."""

    def __init__(self, aws: t.Any, topic_arn: str) -> None:
        self._sqs = aws.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="listener")["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]
        aws.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=attributes["QueueArn"])

    def notices(self) -> list[dict[str, t.Any]]:
        """What came since the last time, as SNS wraps it."""
        found: list[dict[str, t.Any]] = []
        while rows := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", ()):
            for row in rows:
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=row["ReceiptHandle"])
                found.append(dict(json.loads(row["Body"])))
        return found

    def events(self) -> list[dict[str, t.Any]]:
        """The events among them, in the order of sending."""
        return [dict(json.loads(notice["Message"])) for notice in self.notices()]
