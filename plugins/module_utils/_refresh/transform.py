# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""From the API's documents to the module's results."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.states import outcome_of


def refresh_result(refresh: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A refresh in snake_case, its times as ISO text, with its ``outcome``."""
    result: dict[str, t.Any] = camel_dict_to_snake_dict(plain(dict(refresh)))
    return result | {"outcome": outcome_of(refresh)}


def plain(value: t.Any) -> t.Any:
    """The same document with every time as ISO text."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, t.Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
