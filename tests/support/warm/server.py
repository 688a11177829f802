# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python that has imported boto3, and runs each script in a fork of itself.

A module run of Ansible spends much of its processor time on importing boto3 and on reading its descriptions of AWS's
services. Playbooks that run hundreds of modules are given this in place of an interpreter: what is the collection's or
Ansible's is imported by each run from its own archive, as ever.

Usage: server.py SOCKET, until its standard input ends. It runs one script at a time, as a play on one host does.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import runpy
import select
import socket
import sys
import typing as t

import boto3
import botocore.session

SERVICES = ("autoscaling", "cloudwatch", "ec2", "ecr", "iam", "logs", "s3", "sns", "sqs", "ssm", "sts")


class Request(t.TypedDict):
    """A script with its arguments, and where to run it."""

    argv: list[str]
    cwd: str
    env: dict[str, str]


def preload() -> None:
    """Read the descriptions of the services once, for all runs."""
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    for service in SERVICES:
        boto3.client(service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    boto3.DEFAULT_SESSION = None
    gc.freeze()


def receive(connection: socket.socket) -> tuple[Request, list[int]]:
    """A request and its standard input, output and error."""
    data, streams, _flags, _address = socket.recv_fds(connection, 1 << 20, 3)
    while not data.endswith(b"\n"):
        data += connection.recv(1 << 20)
    return json.loads(data), streams


def become(request: Request, streams: list[int]) -> None:
    """Turn this fork into the run of a script; never returns."""
    status = 1
    try:
        for target, source in enumerate(streams):
            os.dup2(source, target)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        sys.argv = request["argv"]
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 the traceback must reach whoever asked, before os._exit below
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def answer(connection: socket.socket) -> None:
    """Run one script to its end and say how it ended."""
    request, streams = receive(connection)
    child = os.fork()
    if child == 0:
        become(request, streams)
    for stream in streams:
        os.close(stream)
    _pid, status = os.waitpid(child, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def serve(path: str) -> None:
    """Answer until standard input ends."""
    preload()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while True:
            readable, _unused, _unused = select.select([listener, 0], [], [])
            if 0 in readable:
                return
            connection, _address = listener.accept()
            with connection:
                answer(connection)


if __name__ == "__main__":
    serve(sys.argv[1])
