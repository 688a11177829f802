# SPDX-License-Identifier: Apache-2.0
"""The server: a threaded HTTP server on the loopback interface and the thread that moves the world on."""

from __future__ import annotations

import logging
import threading
import typing as t

from local_aws import store

if t.TYPE_CHECKING:
    from local_aws.front import Front
    from local_aws.world import World

LOG = logging.getLogger(__name__)
TICK_SECONDS = 0.1


def create_app(world: World, stopping: threading.Event | None = None) -> Front:
    """The WSGI application of that world; moto's state starts empty."""
    store.prepare()
    store.bind(world)
    store.reset()
    from local_aws import spot
    from local_aws.alarms.engine import AlarmEngine
    from local_aws.alarms.metrics import Publisher
    from local_aws.front import Front

    spot.clear()
    world.tickers[:] = [lambda: spot.tick(world), Publisher(world).tick, AlarmEngine(world).tick]
    return Front(world, stopping or threading.Event())


def reset_world(world: World) -> None:
    """Stop every worker and forget everything."""
    from local_aws import spot

    with world.lock:
        world.reset()
        store.reset()
        spot.clear()
    world.faults.clear()


class Server:
    """A running server; use it as a context manager or stop it."""

    def __init__(self, world: World, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world = world
        self.stopping = threading.Event()
        self.app = create_app(world, self.stopping)
        from local_aws.connections import KeepingServer

        self._http = KeepingServer(self.app, host, port)
        self.port = int(self._http.server_port)
        self.endpoint = f"http://{host}:{self.port}"
        self._threads = [
            threading.Thread(target=self._http.serve_forever, args=(0.05,), name="http", daemon=True),
        ]

    def start(self, ticking: bool = True) -> Server:
        """Serve; with ``ticking`` the world moves on by itself."""
        if ticking:
            self._threads.append(threading.Thread(target=self._tick_forever, name="ticker", daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def _tick_forever(self) -> None:
        while not self.stopping.wait(TICK_SECONDS):
            try:
                with self.world.lock:
                    self.world.tick()
            except Exception:  # time goes on
                LOG.exception("a tick failed; the next one goes on")

    def stop(self) -> None:
        """Wake every long poll, close the socket, stop the workers."""
        from local_aws.sqs import service as sqs_service

        self.stopping.set()
        sqs_service.close_all()
        running = [thread for thread in self._threads if thread.is_alive()]
        if running:
            self._http.shutdown()
        self._http.server_close()
        self.world.runner.close()
        for thread in running:
            thread.join(timeout=5)

    def __enter__(self) -> Server:
        return self if self._threads[0].is_alive() else self.start()

    def __exit__(self, *_unused: object) -> None:
        self.stop()


def serve(world: World, host: str = "127.0.0.1", port: int = 0, ticking: bool = True) -> Server:
    """Start a server for that world in this process' threads."""
    return Server(world, host, port).start(ticking)
