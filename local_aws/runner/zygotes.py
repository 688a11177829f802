# SPDX-License-Identifier: Apache-2.0
"""The server's side of the zygotes: one process per engine kind, started when it is first needed."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import threading
import typing as t
from pathlib import Path

from local_aws.runner.base import RunnerError

LOG = logging.getLogger(__name__)
SCRIPT = Path(__file__).with_name("zygote.py")
_COMMON = ("boto3", "botocore.session", "PIL.Image", "pydantic", "prometheus_client")
PRELOAD: dict[str, tuple[str, ...]] = {
    "noop": _COMMON,
    "diffusers": (
        *_COMMON,
        "torch",
        "safetensors.torch",
        "transformers.models.clip.modeling_clip",
        "transformers.models.clip.tokenization_clip",
        "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
        "diffusers.schedulers.scheduling_ddim",
        "diffusers.schedulers.scheduling_dpmsolver_multistep",
        "diffusers.schedulers.scheduling_euler_discrete",
        "diffusers.schedulers.scheduling_euler_ancestral_discrete",
        "diffusers.schedulers.scheduling_pndm",
    ),
}
"""Third-party libraries only: the worker's own code comes from its image."""
READY_SECONDS = 300.0


class Zygote:
    """One zygote and the workers that it forked."""

    def __init__(self, kind: str, python: Path, log: Path, modules: t.Sequence[str]) -> None:
        self.kind = kind
        self.exits: dict[int, int] = {}
        """Exit status by pid of the workers that have ended."""
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._answers: list[dict[str, t.Any]] = []
        self._answered = threading.Condition()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(python), "-u", str(SCRIPT), *modules],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=_clean_environment(),
                start_new_session=True,
            )
        threading.Thread(target=self._listen, name=f"zygote-{kind}", daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as replies:
            for line in replies:
                self._hear(json.loads(line))
        self._ready.set()
        with self._answered:
            self._answered.notify_all()

    def _hear(self, message: dict[str, t.Any]) -> None:
        if message["event"] == "ready":
            self._ready.set()
        elif message["event"] == "exit":
            self.exits[message["pid"]] = message["status"]
        else:
            with self._answered:
                self._answers.append(message)
                self._answered.notify_all()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def fork(self, command: dict[str, t.Any]) -> int:
        """Fork a worker; its pid."""
        if not self._ready.wait(READY_SECONDS) or not self.alive:
            raise RunnerError(f"the {self.kind} zygote did not start: see zygote-{self.kind}.log")
        with self._lock:
            self._send(command)
            with self._answered:
                self._answered.wait_for(lambda: bool(self._answers) or not self.alive, timeout=30)
                if not self._answers:
                    raise RunnerError(f"the {self.kind} zygote does not fork: see zygote-{self.kind}.log")
                return int(self._answers.pop(0)["pid"])

    def _send(self, command: dict[str, t.Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write((json.dumps(command) + "\n").encode())
            self.process.stdin.flush()
        except OSError as problem:
            raise RunnerError(f"the {self.kind} zygote is gone ({problem}): see zygote-{self.kind}.log") from None

    def close(self) -> None:
        """Close its input, which ends it and every worker that is left."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
            self.process.wait(timeout=2)
        except (subprocess.TimeoutExpired, OSError):
            self.process.kill()
            self.process.wait(timeout=5)


def _clean_environment() -> dict[str, str]:
    """What a zygote may know: no keys, no endpoints of the person that started the server."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR") if key in os.environ}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
