# SPDX-License-Identifier: Apache-2.0
"""The worker's configuration: environment variables, read once into one frozen value."""

from __future__ import annotations

import dataclasses
import re
import typing as t
from pathlib import Path

Env = t.Mapping[str, str]
_DIGESTS = ("required", "optional")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class InvalidSetting(Exception):
    """A variable is missing or wrong; the message names it, its value and the next step."""

    def __init__(self, name: str, value: str | None, need: str) -> None:
        shown = "is not set" if value is None else f"is {value!r}"
        super().__init__(f"{name} {shown}: {need}. Set it in /etc/sd-inference/worker.env and start the worker again.")


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a request may ask for at most."""

    body_bytes: int = 1024 * 1024
    prompt_characters: int = 4000
    steps: int = 150
    images: int = 16
    side: int = 2048
    pixels: int = 2048 * 2048
    image_bytes: int = 20 * 1024 * 1024
    """Of a picture in a request, as PNG, JPEG or WebP."""
    image_pixels: int = 4096 * 4096
    loras: int = 8


@dataclasses.dataclass(frozen=True)
class WebhookSettings:
    """To whom notices go by HTTPS. Hosts are ``name`` or ``name:port``."""

    hosts: tuple[str, ...]
    private_hosts: tuple[str, ...]
    secret_parameter: str
    ca_file: str
    seconds: float
    backoff_seconds: float


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that the worker is told from outside. Seconds are floats; 0 port means any."""

    deployment_id: str
    image: str
    image_version: str
    release_id: str
    group: str
    task_queue: str
    smoke_queue: str
    dead_letter_queue: str
    bucket: str
    results_topic_arn: str
    status_parameter: str
    engine: str
    models: t.Mapping[str, str]
    """Where each model lies, by the name that requests choose it by; the first is the default."""
    loras: t.Mapping[str, str]
    """Where each LoRA lies, by the name that requests choose it by."""
    model_cache: str
    model_cache_gib: float
    model_digests: str
    log_prompts: bool
    safety_checker: str
    http_host: str
    http_port: int
    visibility_seconds: int
    wait_seconds: int
    status_seconds: float
    metrics_seconds: float
    max_attempts: int
    backoff_seconds: float
    hook_poll_seconds: float
    hang_seconds: float
    stuck_seconds: float
    drain_seconds: float
    noop_ms: float
    torch_threads: int
    cancel_seconds: float
    """How often a drawing under way is asked after: has it been cancelled? 0: never."""
    progress_seconds: float
    """How often a drawing under way tells how far it is; 0: never."""
    max_batch: int
    """Pictures drawn at once at most; 0: as many as the engine finds to fit."""
    limits: Limits
    webhooks: WebhookSettings

    @property
    def default_model(self) -> str:
        """The name of the model of requests that choose none; empty where the engine has no models."""
        return next(iter(self.models), "")


def read(env: Env) -> Settings:
    """The settings in these variables. Raises InvalidSetting."""
    deployment_id = _required(env, "SD_DEPLOYMENT_ID")
    engine = _choice(env, "SD_ENGINE", ("diffusers", "noop"))
    return Settings(
        deployment_id=deployment_id,
        image=env.get("SD_IMAGE", ""),
        image_version=_required(env, "SD_IMAGE_VERSION"),
        release_id=_required(env, "SD_RELEASE_ID"),
        group=env.get("SD_GROUP", ""),
        task_queue=_required(env, "SD_TASK_QUEUE"),
        smoke_queue=env.get("SD_SMOKE_QUEUE", ""),
        dead_letter_queue=_required(env, "SD_DEAD_LETTER_QUEUE"),
        bucket=_required(env, "SD_BUCKET"),
        results_topic_arn=env.get("SD_RESULTS_TOPIC_ARN", ""),
        status_parameter=env.get("SD_STATUS_PARAMETER") or f"/sd-inference/{deployment_id}/deployment-status",
        engine=engine,
        models=_models(env, engine),
        loras=_loras(env),
        model_cache=env.get("SD_MODEL_CACHE") or "/var/cache/sd-inference/models",
        model_cache_gib=_number(env, "SD_MODEL_CACHE_GIB", 40, 0.001, 65536),
        safety_checker=env.get("SD_SAFETY_CHECKER", ""),
        log_prompts=_choice({"SD_LOG_PROMPTS": "false", **_set(env)}, "SD_LOG_PROMPTS", ("true", "false")) == "true",
        model_digests=_choice({"SD_MODEL_DIGESTS": "required", **_set(env)}, "SD_MODEL_DIGESTS", _DIGESTS),
        http_host=env.get("SD_HTTP_HOST") or "0.0.0.0",
        torch_threads=_integer(env, "SD_TORCH_THREADS", 1, 1, 256),
        limits=_limits(env),
        webhooks=_webhooks(env, deployment_id),
        **_tuning(env),
    )


def _tuning(env: Env) -> dict[str, t.Any]:
    return {
        "http_port": _integer(env, "SD_HTTP_PORT", 8080, 0, 65535),
        "visibility_seconds": _integer(env, "SD_VISIBILITY_SECONDS", 60, 3, 43200),
        "wait_seconds": _integer(env, "SD_WAIT_SECONDS", 20, 0, 20),
        "status_seconds": _number(env, "SD_STATUS_SECONDS", 30, 0, 30),
        "metrics_seconds": _number(env, "SD_METRICS_SECONDS", 60, 0.1, 3600),
        "max_attempts": _integer(env, "SD_MAX_ATTEMPTS", 3, 1, 40),
        "backoff_seconds": _number(env, "SD_BACKOFF_SECONDS", 10, 0, 900),
        "hook_poll_seconds": _number(env, "SD_HOOK_POLL_SECONDS", 5, 0.05, 60),
        "hang_seconds": _number(env, "SD_HANG_SECONDS", 120, 0.1, 3600),
        "stuck_seconds": _number(env, "SD_STUCK_SECONDS", 600, 0.1, 3600),
        "drain_seconds": _number(env, "SD_DRAIN_SECONDS", 110, 0, 7200),
        "cancel_seconds": _number(env, "SD_CANCEL_SECONDS", 5, 0, 3600),
        "progress_seconds": _number(env, "SD_PROGRESS_SECONDS", 10, 0, 3600),
        "max_batch": _integer(env, "SD_MAX_BATCH", 0, 0, 256),
        "noop_ms": _number(env, "SD_NOOP_MS", 0, 0, 3_600_000),
    }


def _models(env: Env, engine: str) -> dict[str, str]:
    """SD_MODEL is one more location, or the name of one of SD_MODELS; either way it is the default."""
    found, given = _listed(env, "SD_MODELS"), env.get("SD_MODEL", "")
    if engine == "diffusers" and not found:
        given = _required(env, "SD_MODEL")
    if not given:
        return found
    default = given if given in found else model_name(given)
    location = found.get(default, given)
    if given not in (default, location):
        raise InvalidSetting("SD_MODEL", given, f"SD_MODELS has another {default} at {location}; rename that one")
    return {default: location, **found}


def _loras(env: Env) -> dict[str, str]:
    """SD_LORAS lists them, or is a directory that holds them."""
    given = env.get("SD_LORAS", "").strip()
    if not given or "=" in given:
        return _listed(env, "SD_LORAS")
    if not Path(given).is_dir():
        raise InvalidSetting("SD_LORAS", given, "it must be a directory, or name=location, …")
    return {path.stem: str(path) for path in sorted(Path(given).glob("*.safetensors"))}


def _listed(env: Env, variable: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in env.get(variable, "").split(","))):
        name, _equals, location = (part.strip() for part in entry.partition("="))
        if not _NAME.match(name) or not location or name in found:
            raise InvalidSetting(variable, entry, "it must be name=location, …, each name once")
        found[name] = location
    return found


def model_name(location: str) -> str:
    """The name of a model that was given none: the last part of where it lies."""
    last = location.partition("@sha256:")[0].rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^A-Za-z0-9._-]", "-", last.removesuffix(".safetensors")) or "model"


def _set(env: Env) -> dict[str, str]:
    return {name: value for name, value in env.items() if value}


def _webhooks(env: Env, deployment_id: str) -> WebhookSettings:
    ca_file = env.get("SD_WEBHOOK_CA_FILE", "")
    if ca_file and not Path(ca_file).is_file():
        raise InvalidSetting("SD_WEBHOOK_CA_FILE", ca_file, "it must be a file of certificates in PEM form")
    return WebhookSettings(
        hosts=_hosts(env, "SD_WEBHOOK_HOSTS"),
        private_hosts=_hosts(env, "SD_WEBHOOK_PRIVATE_HOSTS"),
        secret_parameter=env.get("SD_WEBHOOK_SECRET_PARAMETER") or f"/sd-inference/{deployment_id}/webhook-secret",
        ca_file=ca_file,
        seconds=_number(env, "SD_WEBHOOK_SECONDS", 10, 0.1, 60),
        backoff_seconds=_number(env, "SD_WEBHOOK_BACKOFF_SECONDS", 5, 0, 300),
    )


def _hosts(env: Env, name: str) -> tuple[str, ...]:
    words = [word.strip().lower() for word in env.get(name, "").split(",") if word.strip()]
    for word in words:
        if not _HOST.match(word):
            need = "it must be host names with commas between, each without https:// and path, a port after a colon"
            raise InvalidSetting(name, env[name], need)
    return tuple(word.removesuffix(":443") for word in words)


def _limits(env: Env) -> Limits:
    default = Limits()
    return Limits(
        body_bytes=_integer(env, "SD_MAX_BODY_BYTES", default.body_bytes, 1024, 1024 * 1024),
        prompt_characters=_integer(env, "SD_MAX_PROMPT_CHARACTERS", default.prompt_characters, 1, 1_000_000),
        steps=_integer(env, "SD_MAX_STEPS", default.steps, 1, 1000),
        images=_integer(env, "SD_MAX_IMAGES", default.images, 1, 1000),
        side=_integer(env, "SD_MAX_SIDE", default.side, 64, 16384),
        pixels=_integer(env, "SD_MAX_PIXELS", default.pixels, 4096, 16384 * 16384),
        image_bytes=_integer(env, "SD_MAX_IMAGE_BYTES", default.image_bytes, 1024, 1024**3),
        image_pixels=_integer(env, "SD_MAX_IMAGE_PIXELS", default.image_pixels, 4096, 16384 * 16384),
        loras=_integer(env, "SD_MAX_LORAS", default.loras, 0, 100),
    )


def _required(env: Env, name: str) -> str:
    value = env.get(name)
    if not value:
        raise InvalidSetting(name, value, "the worker cannot start without it")
    return value


def _choice(env: Env, name: str, allowed: tuple[str, ...]) -> str:
    value = env.get(name)
    if value not in allowed:
        raise InvalidSetting(name, value, f"it must be one of {', '.join(allowed)}")
    return value


def _integer(env: Env, name: str, default: int, low: int, high: int) -> int:
    raw = env.get(name) or str(default)
    try:
        value = int(raw)
    except ValueError:
        raise InvalidSetting(name, raw, f"it must be a whole number from {low} to {high}") from None
    if not low <= value <= high:
        raise InvalidSetting(name, raw, f"it must be a whole number from {low} to {high}")
    return value


def _number(env: Env, name: str, default: float, low: float, high: float) -> float:
    raw = env.get(name) or str(default)
    try:
        value = float(raw)
    except ValueError:
        raise InvalidSetting(name, raw, f"it must be a number from {low} to {high}") from None
    if not low <= value <= high:
        raise InvalidSetting(name, raw, f"it must be a number from {low} to {high}")
    return value
