# SPDX-License-Identifier: Apache-2.0
"""A process that has imported third-party libraries and forks one worker per instance from there.

Runs with the worker's Python, from its path, with the standard library only. Commands come as JSON lines on
standard input, replies leave as JSON lines on standard output; when the input ends, the server is gone.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import runpy
import select
import signal
import sys
import threading
import typing as t

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, however it dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def leave_with_server(done: threading.Event) -> None:
    """End at once when the server goes away during the imports. (Its death signal is no help: the kernel ties that
    to the thread that started us, not to the process.)"""
    poll = select.poll()
    poll.register(0, select.POLLHUP)
    while not done.wait(0.2):
        if any(event & select.POLLHUP for _unused, event in poll.poll(0)):
            os._exit(0)


def preload(modules: list[str]) -> None:
    """Import the libraries; torch with one thread, because its thread pool does not survive a fork."""
    done = threading.Event()
    watch = threading.Thread(target=leave_with_server, args=(done,))
    watch.start()
    try:
        for name in modules:
            importlib.import_module(name)
    finally:
        done.set()
        watch.join()  # a fork must not happen while another thread runs
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def say(**message: object) -> None:
    """Send one reply."""
    os.write(1, (json.dumps(message) + "\n").encode())


def become_worker(command: dict[str, object]) -> None:
    """Turn this fork into the worker of an instance; never returns."""
    status = 1
    try:
        os.setsid()
        die_with_parent()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        output = os.open(str(command["stdout"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.chdir(str(command["root"]))
        os.environ.clear()
        os.environ.update(t.cast(dict[str, str], command["env"]))
        sys.path.insert(0, str(command["path"]))
        sys.argv = [str(command["module"])]
        runpy.run_module(str(command["module"]), run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001  # the traceback must reach the log before os._exit below, an interrupt's too
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                status = status or 1
        os._exit(status)


def reap() -> None:
    """Tell of every worker that has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        say(event="exit", pid=pid, status=os.waitstatus_to_exitcode(status))


def handle(line: bytes) -> None:
    """Do one command: fork a worker."""
    command = json.loads(line)
    pid = os.fork()
    if pid == 0:
        become_worker(command)
    say(event="started", instance=command["instance"], pid=pid)


def serve() -> None:
    """Fork on command, from the main thread, until the server is gone."""
    buffer = b""
    while True:
        reap()
        readable, _unused, _unused = select.select([0], [], [], 0.1)
        if not readable:
            continue
        data = os.read(0, 65536)
        if not data:
            return
        buffer += data
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            handle(line)


def main() -> None:
    """Preload, then serve; on the way out the workers go too, by their parent's death."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload(sys.argv[1:])
    say(event="ready")
    serve()


if __name__ == "__main__":
    main()
