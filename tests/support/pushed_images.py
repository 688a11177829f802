# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in a repository as an engine pushes them, by the API."""

from __future__ import annotations

import hashlib
import json
import typing as t

REPOSITORY = "sd-inference-demo"


def digest_of(content: bytes) -> str:
    """The digest of some bytes, as OCI writes it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """Pushes what an engine would push, by the API."""

    def __init__(self, ecr: t.Any) -> None:
        self.ecr = ecr

    def push(self, tag: str, labels: dict[str, str], layer: bytes = b"layer") -> str:
        """An image of one layer with these labels; its digest."""
        config = json.dumps({"config": {"Labels": labels}}).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"digest": self._upload(config), "size": len(config)},
            "layers": [{"digest": self._upload(layer), "size": len(layer)}],
        }
        image = self.put(json.dumps(manifest), tag)
        return str(image["imageId"]["imageDigest"])

    def push_index(self, tag: str, digest: str) -> str:
        """An index over that image and an attestation, as newer builders push; its digest."""
        entries = [
            {
                "digest": self.push(f"{tag}-attestation", {}, b"attestation"),
                "platform": {"os": "unknown", "architecture": "unknown"},
            },
            {"digest": digest, "platform": {"os": "linux", "architecture": "amd64"}},
        ]
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
        return str(self.put(json.dumps(index), tag)["imageId"]["imageDigest"])

    def put(self, manifest: str, tag: str) -> dict[str, t.Any]:
        """Give the tag to the manifest."""
        reply = self.ecr.put_image(repositoryName=REPOSITORY, imageManifest=manifest, imageTag=tag)
        return t.cast(dict[str, t.Any], reply["image"])

    def _upload(self, content: bytes) -> str:
        digest, name = digest_of(content), {"repositoryName": REPOSITORY}
        found = self.ecr.batch_check_layer_availability(**name, layerDigests=[digest])["layers"]
        if not any(layer["layerAvailability"] == "AVAILABLE" for layer in found):
            upload = {**name, "uploadId": self.ecr.initiate_layer_upload(**name)["uploadId"]}
            last = len(content) - 1
            self.ecr.upload_layer_part(**upload, partFirstByte=0, partLastByte=last, layerPartBlob=content)
            self.ecr.complete_layer_upload(**upload, layerDigests=[digest])
        return digest
