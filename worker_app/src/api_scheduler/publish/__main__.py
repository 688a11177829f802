# SPDX-License-Identifier: Apache-2.0
"""``python -m api_scheduler.publish SCHEMAS PAGE…``: writes the schemas to a folder and renews the pages' tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from api_scheduler.publish.schema import SCHEMAS
from api_scheduler.publish.tables import renewed


def main(folder: str, *pages: str) -> None:
    """Write everything that is made from the code."""
    for name, make in SCHEMAS.items():
        path = Path(folder) / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for page in map(Path, pages):
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
