# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What the run wants to be stable: found in the registry for a deploy, in the history for a rollback."""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._release import registry, templates
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Group, Options, Target

Record = t.Mapping[str, t.Any]


def deploy_target(ecr: t.Any, names: Names, group: Group, options: Options, ledger: Ledger, host: Record) -> Target:
    """The image asked for, on the host settings of now.

    Raises: InvalidInput, NotFound.
    """
    tagged = registry.resolve(ecr, names, options.version)
    version, digest = registry.choose(tagged, ledger, options.retry_rejected)
    image = registry.image_reference(group, names, digest)
    identity, data = templates.render(names, host, image, version)
    if ledger.refuses(identity) and not options.retry_rejected:
        raise InvalidInput(
            f"version={version} on these host settings was rejected before. Change the settings with provision.yml, "
            "build a new version, or insist with -e retry_rejected=true."
        )
    return Target(Release(version=version, digest=digest, release_id=identity), template=data)


def past_releases(records: t.Iterable[Record], ledger: Ledger) -> list[tuple[int, Release]]:
    """(sequence, release) of those that were stable and not rejected since, newest first."""
    found = [
        (int(record["sequence"]), Release(**record["candidate"]))
        for record in records
        if record.get("kind") in ("deploy", "adoption") and record.get("outcome") == "succeeded"
    ]
    return [(sequence, release) for sequence, release in found if not ledger.refuses(release.release_id)]


def rollback_target(
    ledger: Ledger, past: t.Sequence[tuple[int, Release]], to_version: str | None
) -> tuple[Release | None, Release | None]:
    """(release to return to, the stable one before that); None where there is none.

    Raises: InvalidInput when the version asked for cannot be returned to.
    """
    others = [(sequence, release) for sequence, release in past if not _same(release, ledger.stable)]
    if to_version is None:
        target = ledger.previous
    else:
        target = next((release for _unused, release in others if release.version == to_version), None)
        if target is None:
            raise InvalidInput(_not_offered(to_version, ledger, others))
    return target, _before(target, others)


def _same(release: Release, other: Release | None) -> bool:
    return other is not None and release.release_id == other.release_id


def _before(target: Release | None, past: t.Sequence[tuple[int, Release]]) -> Release | None:
    """The newest stable release older than the last time the target became stable."""
    if target is None:
        return None
    since = max((sequence for sequence, release in past if release.release_id == target.release_id), default=0)
    return next((release for sequence, release in past if sequence < since and not _same(release, target)), None)


def _not_offered(to_version: str, ledger: Ledger, others: t.Sequence[tuple[int, Release]]) -> str:
    if ledger.stable is not None and ledger.stable.version == to_version:
        return f"to_version={to_version} is stable already; nothing was changed."
    offered = ", ".join(dict.fromkeys(release.version for _unused, release in others)) or "none"
    return f"to_version={to_version} was never stable here, or was rejected since; offered: {offered}."


def template_exists(ec2: t.Any, names: Names, release: Release | None) -> bool:
    """Whether that release can be launched; nothing at all can always be returned to."""
    return release is None or templates.has_version(ec2, names, release.template_version)


def remade(ec2: t.Any, names: Names, group: Group, host: Record, release: Release) -> Target | None:
    """What to make the deleted template version of that release from; None where it would become another release.

    One that exists under the release's description, made by a run that died or by hand, is found as for a deploy.
    """
    image = registry.image_reference(group, names, release.digest)
    try:
        identity, data = templates.render(names, host, image, release.version)
    except InvalidInput:
        identity, data = "", {}
    if identity == release.release_id:
        return Target(release, template=data)
    return Target(release) if templates.find_version(ec2, names, release.release_id) else None


def check_template(
    ec2: t.Any,
    names: Names,
    target: Release | None,
    past: t.Sequence[tuple[int, Release]] = (),
    stable: Release | None = None,
) -> FleetError | None:
    """A release whose template version somebody deleted cannot be returned to: the next one in history is offered."""
    if target is None or template_exists(ec2, names, target):
        return None
    how = _offer(ec2, names, past, (target, stable))
    how = how or f" Deploy it again with deploy.yml -e version={target.version} once no release is open."
    return InvalidInput(f"{_gone(names, target)}.{how}")


def check_way_back(
    ec2: t.Any, names: Names, stable: Release | None, past: t.Sequence[tuple[int, Release]] = ()
) -> FleetError | None:
    """The same for the stable release of an open one, where it cannot be made again: what has to be done by hand."""
    if stable is None or template_exists(ec2, names, stable):
        return None
    mark = templates.description(stable.release_id)
    return InvalidInput(
        f"{_gone(names, stable)}, and the host settings of now would make another release of it. Write back those that "
        f"it was released with (aws ssm get-parameter-history --name {names.host}), or make a version of launch "
        f"template {names.group} by hand that runs {stable.digest} and is described as '{mark}'; then run rollback.yml "
        f"again.{_offer(ec2, names, past, (stable,))}"
    )


def _offer(ec2: t.Any, names: Names, past: t.Sequence[tuple[int, Release]], left: t.Sequence[Release | None]) -> str:
    """The next in the history that can be had."""
    others = (row for _unused, row in past if not any(_same(row, other) for other in left))
    other = next((row for row in others if template_exists(ec2, names, row)), None)
    return f" The next in the history that can be had: -e to_version={other.version}." if other else ""


def _gone(names: Names, target: Release) -> str:
    return (
        f"Version {target.version} cannot be returned to: template version {target.template_version} of {names.group} "
        "was deleted"
    )
