# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop that everybody writes first: receive, draw, put, delete. Prints a line a job."""

from __future__ import annotations

import json
import os
import sys
import time

import botocore.session

from bench.sides.pipeline import Pipeline, png


def main(queue: str, bucket: str, count: int) -> None:
    """Draw so many."""
    session = botocore.session.Session()
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    sqs, s3 = (session.create_client(name, region_name="us-east-1", endpoint_url=endpoint) for name in ("sqs", "s3"))
    pipeline = Pipeline()
    for _number in range(count):
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=1, WaitTimeSeconds=20)["Messages"][0]
        request = json.loads(found["Body"])
        [picture] = pipeline.draw([request["payload"]])
        s3.put_object(Bucket=bucket, Key=f"results/{request['id']}/0.png", Body=png(picture))
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=found["ReceiptHandle"])
        print(json.dumps({"at": time.time(), "busy": pipeline.busy}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
