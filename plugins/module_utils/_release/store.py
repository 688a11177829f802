# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The parameters of a deployment: ledger, projections, host settings and locks. One API call, one function."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call, error_code
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput, LockLost
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, parse_ledger
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Lock

MAX_LEDGER_BYTES = 4096
"""A standard parameter holds 4 KB (SSM PutParameter API reference)."""
DELETE_BATCH = 10
"""Names of one DeleteParameters (SSM API reference)."""
PROJECTIONS = ("image-version", "previous-version", "deployment-status")


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Everything under the deployment's path, read at once."""

    recorded: bool
    """Whether there is a ledger; without one, ``ledger`` is an empty one."""
    ledger: Ledger
    projections: t.Mapping[str, str]
    host: t.Mapping[str, t.Any] | None
    """What provision.yml has written."""
    lock: Lock | None

    @property
    def provisioned(self) -> bool:
        """Whether provision.yml has run."""
        return self.host is not None


def read_parameters(ssm: t.Any, names: Names) -> Parameters:
    """Read the path of the deployment, all pages."""
    rows = {row["Name"]: row for row in _all_parameters(ssm, names.root)}
    projections = {
        name: str(rows[f"{names.root}/{name}"]["Value"]) for name in PROJECTIONS if f"{names.root}/{name}" in rows
    }
    ledger = _ledger(rows[names.ledger]["Value"], names) if names.ledger in rows else Ledger()
    return Parameters(
        recorded=names.ledger in rows,
        ledger=ledger,
        projections=projections,
        host=_host(rows[names.host]["Value"]) if names.host in rows else None,
        lock=_newest_lock(rows, names),
    )


def _ledger(text: str, names: Names) -> Ledger:
    """The record, or what to do about one that cannot be used."""
    try:
        return parse_ledger(text)
    except InvalidInput as error:
        raise InvalidInput(
            f"{error.message} Nothing was changed. Write the last good value of {names.ledger} back "
            f"(aws ssm get-parameter-history --name {names.ledger}), or delete the parameter: the next deploy.yml then "
            "builds the ledger again from what runs."
        ) from error


@aws_call("read the parameters of the deployment")
def _all_parameters(ssm: t.Any, path: str) -> list[dict[str, t.Any]]:
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
    return [row for page in pages for row in page["Parameters"]]


def _host(text: str) -> dict[str, t.Any]:
    try:
        return dict(json.loads(text))
    except ValueError as error:
        raise InvalidInput(f"The host settings cannot be read ({error}): run provision.yml again.") from error


def _newest_lock(rows: t.Mapping[str, t.Mapping[str, t.Any]], names: Names) -> Lock | None:
    epochs = [_epoch_of(name) for name in rows if name.startswith(names.lock_path)]
    return parse_lock(max(epochs), rows[names.lock(max(epochs))]) if epochs else None


def _epoch_of(name: str) -> int:
    text = name.rsplit("/", 1)[1]
    return int(text) if text.isdigit() else 0


def _record_of(text: str) -> dict[str, t.Any]:
    """What a lock says; one that was edited by hand says nothing."""
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        return {}


def parse_lock(epoch: int, row: t.Mapping[str, t.Any]) -> Lock:
    """A lock parameter as a value; one that was edited by hand belongs to nobody."""
    record = _record_of(row["Value"])
    modified: dt.datetime = row["LastModifiedDate"]
    fields = {name: str(record.get(name, "unknown")) for name in ("run", "owner", "host")}
    return Lock(epoch=epoch, modified=modified.astimezone(dt.UTC), **fields)


@aws_call("write the release ledger")
def _put(ssm: t.Any, name: str, value: str, overwrite: bool = True) -> None:
    ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=overwrite)


def write_ledger(ssm: t.Any, names: Names, ledger: Ledger) -> None:
    """Write the record in one call, unless a later epoch has begun.

    Raises: LockLost.
    """
    current = _get(ssm, [names.ledger]).get(names.ledger)
    if current is not None and parse_ledger(current).epoch > ledger.epoch:
        raise LockLost("Another run has taken the release over; this one stops and changes nothing more.")
    text = ledger.to_json()
    if len(text.encode()) > MAX_LEDGER_BYTES:
        raise InvalidInput(f"The ledger would have {len(text.encode())} bytes, more than {MAX_LEDGER_BYTES}.")
    _put(ssm, names.ledger, text)


@aws_call("read the release ledger")
def _get(ssm: t.Any, parameters: t.Sequence[str]) -> dict[str, str]:
    found = ssm.get_parameters(Names=list(parameters))["Parameters"]
    return {row["Name"]: str(row["Value"]) for row in found}


def write_projections(ssm: t.Any, names: Names, wanted: t.Mapping[str, str], present: t.Mapping[str, str]) -> None:
    """Write the plain parameters that say something else."""
    for name, value in wanted.items():
        if present.get(name) != value:
            _put(ssm, f"{names.root}/{name}", value)


def lock_record(run: str, owner: str, host: str) -> str:
    """What a lock says."""
    return json.dumps({"run": run, "owner": owner, "host": host}, sort_keys=True)


def create_lock(ssm: t.Any, names: Names, epoch: int, record: str) -> bool:
    """Create the lock of that epoch; False when somebody else was first."""
    return _create(ssm, names.lock(epoch), record)


@aws_call("take the lock")
def _create(ssm: t.Any, name: str, value: str) -> bool:
    try:
        ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=False)
    except ssm.exceptions.ClientError as error:
        if error_code(error) == "ParameterAlreadyExists":
            return False
        raise
    return True


@aws_call("renew the lock")
def renew_lock(ssm: t.Any, names: Names, epoch: int, record: str) -> None:
    """Say that the holder is alive."""
    ssm.put_parameter(Name=names.lock(epoch), Value=record, Type="String", Overwrite=True)


def check_lock(ssm: t.Any, names: Names, epoch: int, run: str) -> None:
    """Read lock and ledger once more.

    Raises: LockLost when the lock is gone or another's, or a later epoch has begun.
    """
    values = _get(ssm, [names.lock(epoch), names.ledger])
    lock = values.get(names.lock(epoch))
    ledger = values.get(names.ledger)
    if lock is None or _record_of(lock).get("run") != run or (ledger and parse_ledger(ledger).epoch > epoch):
        raise LockLost("Another run has taken the release over; this one stops and changes nothing more.")


def delete_lock(ssm: t.Any, names: Names, epoch: int) -> None:
    """Give the lock back."""
    _delete(ssm, [names.lock(epoch)])


def delete_older_locks(ssm: t.Any, names: Names, epoch: int) -> None:
    """Remove what earlier holders left."""
    older = [row["Name"] for row in _all_parameters(ssm, names.lock_path) if _epoch_of(row["Name"]) < epoch]
    for start in range(0, len(older), DELETE_BATCH):
        _delete(ssm, older[start : start + DELETE_BATCH])


@aws_call("release the lock")
def _delete(ssm: t.Any, parameters: t.Sequence[str]) -> None:
    ssm.delete_parameters(Names=list(parameters))
