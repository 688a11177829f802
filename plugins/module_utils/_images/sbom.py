# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What is inside an image, as a CycloneDX document: the same contents give the same document."""

from __future__ import annotations

import re
import typing as t
import urllib.parse
import uuid

SPEC = "1.6"
Component = dict[str, t.Any]


def document(contents: t.Mapping[str, t.Any], *, name: str, version: str, digest: str) -> dict[str, t.Any]:
    """The bill of materials of the image of that digest."""
    parts = [
        *(_distribution(found) for found in contents["distributions"]),
        *(_package(found, contents["os"]) for found in contents["packages"]),
    ]
    once = {str(part["bom-ref"]): part for part in parts}  # as the format wants it
    image = _purl("oci", None, name.rsplit("/", 1)[-1], digest, {"repository_url": name, "tag": version})
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{name}@{digest}')}",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": image, "name": name, "version": version, "purl": image}
        },
        "components": [_system(contents["os"]), *(once[name] for name in sorted(once))],
    }


def _system(system: t.Mapping[str, str]) -> Component:
    name, version = system.get("ID", "linux"), system.get("VERSION_ID", "")
    return {"type": "operating-system", "bom-ref": f"os:{name}@{version}", "name": name, "version": version}


def _distribution(found: t.Mapping[str, str]) -> Component:
    name = re.sub(r"[-_.]+", "-", found["name"]).lower()
    purl = _purl("pypi", None, name, found["version"], {})
    component = {"type": "library", "bom-ref": purl, "name": name, "version": found["version"], "purl": purl}
    licence = found.get("license", "")
    return {**component, "licenses": [{"license": {"name": licence}}]} if licence else component


def _package(found: t.Mapping[str, str], system: t.Mapping[str, str]) -> Component:
    distribution = system.get("ID", "debian")
    qualifiers = {"arch": found["architecture"], "distro": f"{distribution}-{system.get('VERSION_ID', '')}"}
    purl = _purl("deb", distribution, found["name"], found["version"], qualifiers)
    return {"type": "library", "bom-ref": purl, "name": found["name"], "version": found["version"], "purl": purl}


def _purl(kind: str, namespace: str | None, name: str, version: str, qualifiers: t.Mapping[str, str]) -> str:
    """A package URL: each part percent-encoded, qualifiers in order of their names."""
    path = "/".join(urllib.parse.quote(part, safe="+.-_~") for part in (namespace, name) if part)
    tail = "&".join(f"{key}={urllib.parse.quote(qualifiers[key], safe='+.-_~/')}" for key in sorted(qualifiers))
    return f"pkg:{kind}/{path}@{urllib.parse.quote(version, safe='+.-_~:')}" + (f"?{tail}" if tail else "")
