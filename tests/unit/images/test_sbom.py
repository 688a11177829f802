# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bill of materials says, and that it does not vary."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.diffusion.fleet.plugins.filter.cyclonedx import FilterModule

DIGEST = "sha256:" + "b" * 64
NAME = "123456789012.dkr.ecr.us-east-1.amazonaws.com/sd-inference-demo"
CONTENTS: dict[str, t.Any] = {
    "os": {"ID": "debian", "VERSION_ID": "12"},
    "distributions": [
        {"name": "Prometheus_Client", "version": "0.26.0", "license": "Apache-2.0 AND BSD-2-Clause"},
        {"name": "torch", "version": "2.13.0+cpu", "license": ""},
    ],
    "packages": [{"name": "libstdc++6", "version": "1:12.2.0-14", "architecture": "amd64"}],
}


def bill(contents: dict[str, t.Any]) -> dict[str, t.Any]:
    cyclonedx = FilterModule().filters()["cyclonedx"]
    return t.cast(dict[str, t.Any], cyclonedx(contents, name=NAME, version="1.0.0", digest=DIGEST))


def test_every_part_is_there_under_its_package_url() -> None:
    assert [part.get("purl", part["bom-ref"]) for part in bill(CONTENTS)["components"]] == [
        "os:debian@12",
        "pkg:deb/debian/libstdc++6@1:12.2.0-14?arch=amd64&distro=debian-12",
        "pkg:pypi/prometheus-client@0.26.0",
        "pkg:pypi/torch@2.13.0+cpu",
    ]


def test_it_is_about_the_image_of_that_digest() -> None:
    image = bill(CONTENTS)["metadata"]["component"]
    assert image["purl"].startswith(f"pkg:oci/sd-inference-demo@{DIGEST}?")
    assert (image["name"], image["version"]) == (NAME, "1.0.0")


def test_another_image_has_another_serial_number() -> None:
    cyclonedx = FilterModule().filters()["cyclonedx"]
    other = cyclonedx(CONTENTS, name=NAME, version="1.0.0", digest=DIGEST.replace("b", "c"))
    assert other["serialNumber"] != bill(CONTENTS)["serialNumber"]


def test_licences_are_told_where_they_are_known() -> None:
    parts = {part["name"]: part for part in bill(CONTENTS)["components"]}
    assert parts["prometheus-client"]["licenses"] == [{"license": {"name": "Apache-2.0 AND BSD-2-Clause"}}]
    assert "licenses" not in parts["torch"]


def test_the_order_of_what_was_found_does_not_matter() -> None:
    turned = {**CONTENTS, "distributions": CONTENTS["distributions"][::-1]}
    assert json.dumps(bill(turned)) == json.dumps(bill(CONTENTS))


def test_what_was_found_twice_is_there_once() -> None:
    twice = {**CONTENTS, "distributions": CONTENTS["distributions"] * 2, "packages": CONTENTS["packages"] * 2}
    assert bill(twice) == bill(CONTENTS)


def test_contents_that_are_none_are_refused_with_the_next_step() -> None:
    with pytest.raises(AnsibleFilterError, match=r"lack 'packages'.*ansible-doc"):
        bill({"os": {}, "distributions": []})
