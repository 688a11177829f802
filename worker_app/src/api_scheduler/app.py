# SPDX-License-Identifier: Apache-2.0
"""Puts the worker together from its settings, and runs its threads."""

from __future__ import annotations

import dataclasses
import queue
import signal
import sys
import threading
import typing as t
from pathlib import Path

from api_scheduler import aws, engines, http_server
from api_scheduler import settings as settings_module
from api_scheduler.clock import Clock, SystemClock
from api_scheduler.desk import Desk
from api_scheduler.documents.result import Worker as WorkerNames
from api_scheduler.drawing import DrawThread
from api_scheduler.engines.base import Engine
from api_scheduler.errors import described
from api_scheduler.hands import Hands
from api_scheduler.hooks import LifecycleHooks, Watcher
from api_scheduler.identity import Identity, Metadata, MetadataUnavailable
from api_scheduler.jobs import Jobs
from api_scheduler.leases import Leases
from api_scheduler.life import Life
from api_scheduler.logs import Log, capture
from api_scheduler.lookout import Lookout
from api_scheduler.models import Models
from api_scheduler.models.cache import Cache
from api_scheduler.models.fetching import Fetcher
from api_scheduler.models.prefetch import prefetch
from api_scheduler.progress import Progress
from api_scheduler.protection import Protection
from api_scheduler.queues import Queue
from api_scheduler.releases import ReleaseStatus
from api_scheduler.reports import Reporter
from api_scheduler.settings import Env, Settings, WebhookSettings
from api_scheduler.store import Store
from api_scheduler.webhooks import Webhooks
from api_scheduler.webhooks.addresses import Hosts
from api_scheduler.webhooks.post import Poster
from api_scheduler.webhooks.secret import Secret
from api_scheduler.worker import Worker

_METADATA_TRIES = 30
_LOOK_SECONDS = 0.5
_LAST_WEBHOOKS_SECONDS = 5.0


@dataclasses.dataclass
class App:
    """A worker with everything it needs, not started yet."""

    settings: Settings
    life: Life
    worker: Worker
    draw_thread: DrawThread
    hangs: t.Callable[[], bool]
    watcher: Watcher
    protection: Protection
    identity: Identity
    engine: Engine
    desk: Desk
    models: Models
    """Those that are fetched ahead."""
    port: int = 0

    def run(self) -> int:
        """Run until drained; the exit status."""
        server = http_server.serve(self.settings.http_host, self.settings.http_port, self._pages())
        self.port = server.server_address[1]
        self.draw_thread.start()
        stopped = self.life.stopped
        bodies: dict[str, t.Callable[[], None]] = {
            "http": server.serve_forever,
            "leases": lambda: self.desk.leases.run(stopped),
            "lookout": lambda: self.desk.lookout.run(stopped),
            "webhooks": lambda: self.desk.webhooks.run(stopped),
            "watcher": lambda: self.watcher.run(stopped, self.settings.hook_poll_seconds),
            "protection": lambda: self.protection.run(stopped),
            "metrics": lambda: self.desk.reporter.run(stopped),
            "models": lambda: prefetch(self.models, self.life.takes, stopped, self.desk.clock, self.desk.log),
        }
        for name, body in bodies.items():
            threading.Thread(target=self._watch_over, args=(name, body), name=name, daemon=True).start()
        self.desk.log.info("started", port=self.port, engine=self.engine.name)
        try:
            status = self.worker.run()
            return 1 if self.life.broken else status
        finally:
            self.desk.reporter.flush()
            self.desk.webhooks.finish(_LAST_WEBHOOKS_SECONDS)
            self.protection.wake()
            self.draw_thread.stop()
            server.shutdown()
            server.server_close()

    def _watch_over(self, name: str, body: t.Callable[[], None]) -> None:
        try:
            body()
        except Exception as error:  # noqa: BLE001 without this thread the worker would go on half alive, unnoticed
            self.desk.log.error("thread ended", thread=name, error=described(error, self.settings.log_prompts))
            self.life.break_down(f"{name} thread ended", self.settings.drain_seconds)

    def _pages(self) -> dict[str, http_server.Page]:
        return {
            "/health": lambda: http_server.json_answer(self._healthy(), self._status()),
            "/ready": lambda: http_server.json_answer(self._ready(), {"state": self.life.state.value}),
            "/status": lambda: http_server.json_answer(True, self._status()),
            "/metrics": lambda: (200, "text/plain; version=0.0.4", self.desk.reporter.prometheus()),
        }

    def _healthy(self) -> bool:
        # Worked out afresh for every probe: one bad moment must not latch.
        return self.draw_thread.alive() and not self.hangs() and not self.life.broken

    def _ready(self) -> bool:
        return self.life.takes() and self._healthy()

    def _status(self) -> dict[str, t.Any]:
        drain = self.life.drain
        return {
            "state": self.life.state.value,
            "draining": drain.reason if drain else None,
            "engine": self.engine.name,
            "instance_id": self.identity.instance_id,
            "image_version": self.settings.image_version,
            "release_id": self.settings.release_id,
            "jobs": self.desk.reporter.jobs,
            "in_hand": self.desk.hands.stages(),
            "in_work": self.draw_thread.in_work(),
            "drawing_seconds": round(self.draw_thread.busy_seconds, 3),
            "stalled_seconds": round(self.draw_thread.progress.stalled(), 3),
            "hang_seconds": self.settings.hang_seconds,
        }


def run(env: Env) -> int:
    """Run the worker in this process until a signal, a hook or a notice stops it; the exit status."""
    settings = settings_module.read(env)
    clock = SystemClock()
    metadata = Metadata(env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", ""))
    try:
        identity = _identity(metadata, clock)
    except MetadataUnavailable as error:
        print(f"api-scheduler: no instance metadata: {error}", file=sys.stderr)
        return 3
    app = build(settings, env, identity, metadata, clock)
    capture(app.desk.log)
    return _run_with_signals(app)


def _run_with_signals(app: App) -> int:
    # A handler may interrupt any line, so it only puts into a queue that is made for that; this thread does the rest.
    events: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: events.put(signal.Signals(received).name))
    status: list[int] = []

    def live() -> None:
        try:
            status.append(app.run())
        finally:
            events.put(None)

    threading.Thread(target=live, name="worker", daemon=True).start()
    while (name := _next(events)) is not None:
        app.life.start_draining(name, app.settings.drain_seconds)
    return status[0] if status else 1


def _next(events: queue.SimpleQueue[str | None]) -> str | None:
    # Python's handlers run on this thread, and only when it is awake: a signal that the kernel gave to another thread
    # would wait here for ever.
    while True:
        try:
            return events.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            continue


def _identity(metadata: Metadata, clock: Clock) -> Identity:
    """The identity; the metadata service may come up later than the worker."""
    for _unused in range(_METADATA_TRIES):
        try:
            return metadata.identity()
        except MetadataUnavailable:
            clock.wait(threading.Event(), 1.0)
    return metadata.identity()


def build(settings: Settings, env: Env, identity: Identity, metadata: Metadata, clock: Clock) -> App:
    """Put a worker together."""
    log = _log(settings, identity, clock)
    clients = aws.connect(
        identity.region, env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", ""), env.get("AWS_ENDPOINT_URL", "")
    )
    drawing, hands = Progress(clock, settings.hang_seconds), Hands(clock, settings.stuck_seconds)
    models = _models(settings, clients.s3, clock, log, drawing.touch)
    life, engine = Life(clock, log), engines.create(settings, clock, models)
    releases = ReleaseStatus(clients.ssm, settings.status_parameter, settings.status_seconds, clock)
    reporter = Reporter(clients.cloudwatch, _dimensions(settings), settings.metrics_seconds, clock, log, releases.known)
    draw_thread = DrawThread(engine, drawing, clock, hands.ring, reporter.drew)

    def hangs() -> bool:
        return drawing.hangs() or hands.hang()

    leases = Leases(clients.sqs, settings.visibility_seconds, clock, log)
    hooks = LifecycleHooks(clients.autoscaling, settings.group, identity.instance_id, log)
    watcher = Watcher(hooks, metadata, life, hangs, clock, log)
    protection = Protection(clients.autoscaling, settings.group, identity.instance_id, clock, log)
    names = WorkerNames(identity.instance_id, settings.image_version, settings.release_id, engine.name)
    store = Store(clients.s3, settings.bucket)
    lookout = Lookout(store, names, settings.cancel_seconds, settings.progress_seconds, clock, log)
    desk = Desk(
        settings=settings,
        worker=names,
        clients=clients,
        store=store,
        dead_letters=Queue(clients.sqs, settings.dead_letter_queue, clock),
        releases=releases,
        leases=leases,
        lookout=lookout,
        webhooks=_webhooks(settings.webhooks, clients.ssm, clock, log),
        draw_thread=draw_thread,
        hands=hands,
        native_side=lambda: engine.native_side,
        life=life,
        leaving=watcher.leaving,
        reporter=reporter,
        clock=clock,
        log=log,
    )
    worker = _worker(desk, watcher, protection)
    ahead = _models(settings, clients.s3, clock, log, lambda: None)
    return App(settings, life, worker, draw_thread, hangs, watcher, protection, identity, engine, desk, ahead)


def _models(settings: Settings, s3: aws.Client, clock: Clock, log: Log, alive: t.Callable[[], None]) -> Models:
    limit = int(settings.model_cache_gib * 2**30)
    cache = Cache(Path(settings.model_cache), limit, clock, log, alive)
    required = settings.model_digests == "required"
    locations = settings.models if settings.engine == "diffusers" else {}
    return Models(locations, Fetcher(s3, cache, clock, log, alive, required), alive)


def _webhooks(settings: WebhookSettings, ssm: aws.Client, clock: Clock, log: Log) -> Webhooks:
    hosts = Hosts(frozenset(settings.hosts), frozenset(settings.private_hosts))
    secret = Secret(ssm, settings.secret_parameter, clock)
    post = Poster(hosts, settings.ca_file, settings.seconds)
    return Webhooks(hosts, secret, post, settings.backoff_seconds, clock, log)


def _worker(desk: Desk, watcher: Watcher, protection: Protection) -> Worker:
    settings, sqs, clock = desk.settings, desk.clients.sqs, desk.clock
    return Worker(
        tasks=Queue(sqs, settings.task_queue, clock),
        smoke=Queue(sqs, settings.smoke_queue, clock, smoke=True),
        wait_seconds=settings.wait_seconds,
        visibility_seconds=settings.visibility_seconds,
        jobs=Jobs(desk),
        hands=desk.hands,
        draw_thread=desk.draw_thread,
        life=desk.life,
        watcher=watcher,
        protection=protection,
        clock=clock,
        log=desk.log,
    )


def _log(settings: Settings, identity: Identity, clock: Clock) -> Log:
    names = {
        "deployment_id": settings.deployment_id,
        "release_id": settings.release_id,
        "image_version": settings.image_version,
        "instance_id": identity.instance_id,
    }
    return Log(clock, names)


def _dimensions(settings: Settings) -> dict[str, str]:
    return {
        "DeploymentId": settings.deployment_id,
        "ImageVersion": settings.image_version,
        "ReleaseId": settings.release_id,
    }
