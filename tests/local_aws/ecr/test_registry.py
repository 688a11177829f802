# SPDX-License-Identifier: Apache-2.0
"""The registry over TLS, by plain HTTP requests as container engines send them."""

from __future__ import annotations

import base64
import collections.abc
import gzip
import hashlib
import http.client
import io
import json
import os
import ssl
import tarfile
import typing as t
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from local_aws.harness import Harness
from local_aws.registry.server import RegistryServer
from local_aws.runner import images
from local_aws.settings import Settings

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
API = "api.ecr.us-east-1.amazonaws.com"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONTENT = b"layer" * 300_000


def layer() -> bytes:
    """A layer larger than what is moved at a time."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        entry = tarfile.TarInfo("app/file")
        entry.size = len(CONTENT)
        archive.addfile(entry, io.BytesIO(CONTENT))
    return gzip.compress(plain.getvalue(), compresslevel=0, mtime=0)


LAYER = layer()


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Reply(t.NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def error(self) -> tuple[str, str]:
        found = json.loads(self.body)["errors"][0]
        return found["code"], found["message"]


class Site:
    """A world, its registry and a client that speaks HTTP."""

    def __init__(self, harness: Harness, server: RegistryServer) -> None:
        self.harness = harness
        self.server = server
        self.ecr = harness.client("ecr")
        self.ecr.create_repository(repositoryName="team/worker", imageTagMutability="IMMUTABLE")
        self.authorization = self.token()

    def token(self) -> str:
        return str(self.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"])

    def ask(
        self, method: str, path: str, body: t.Any = None, authorization: str | None = None, **headers: str
    ) -> Reply:
        """One request to ECR's name; ``headers`` with underscores."""
        trust = ssl.create_default_context(cafile=str(self.server.ca_file))
        connection = _Renamed(trust, self.server.port)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if (known := self.authorization if authorization is None else authorization) != "":
            given["Authorization"] = f"Basic {known}"
        chunked = isinstance(body, collections.abc.Iterator)
        connection.request(method, path, body, given, encode_chunked=chunked)
        reply = connection.getresponse()
        found = Reply(reply.status, reply.headers, reply.read())
        connection.close()
        return found

    def upload(self, data: bytes, digest: str | None = None, repository: str = "team/worker") -> Reply:
        """As an engine does it: the bytes in HTTP chunks of unknown number, then the digest."""
        place = self.ask("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
        pieces = (data[start : start + 65536] for start in range(0, len(data), 65536))
        self.ask("PATCH", place, pieces, Transfer_Encoding="chunked")
        return self.ask("PUT", f"{place}?digest={digest or digest_of(data)}")

    def put(self, reference: str, text: bytes, repository: str = "team/worker") -> Reply:
        return self.ask("PUT", f"/v2/{repository}/manifests/{reference}", text, Content_Type=MANIFEST)

    def push(self, tag: str, note: str = "") -> str:
        """An image; its digest."""
        text = manifest(note)
        for blob in (b"{}", LAYER):
            assert self.upload(blob).status == 201
        assert self.put(tag, text).status == 201
        return digest_of(text)


class _Renamed(http.client.HTTPSConnection):
    """Connects to this machine and expects ECR's certificate, of the registry or of the API."""

    def __init__(self, trust: ssl.SSLContext, port: int, name: str = HOST) -> None:
        super().__init__("127.0.0.1", port, timeout=60)
        self.trust = trust
        self.name = name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self.trust.wrap_socket(self.sock, server_hostname=self.name)


def manifest(note: str = "", **more: t.Any) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"{}"), "size": 2},
        "layers": [{"digest": digest_of(LAYER), "size": len(LAYER)}],
        "annotations": {"note": note},
        **more,
    }
    return json.dumps(document).encode()


@pytest.fixture
def site(tmp_path: Path) -> collections.abc.Iterator[Site]:
    settings = Settings(registry_token_seconds=600, scratch=tmp_path)
    with Harness(settings=settings) as harness, RegistryServer(harness.world, tmp_path / "tls") as server:
        yield Site(harness, server)


def test_what_is_pushed_is_what_the_api_shows(site: Site) -> None:
    digest = site.push("1.0.0")
    found = site.ecr.describe_images(repositoryName="team/worker")["imageDetails"]
    assert [(one["imageDigest"], one["imageTags"], one["imageSizeInBytes"]) for one in found] == [
        (digest, ["1.0.0"], len(LAYER))
    ]
    got = site.ecr.batch_get_image(repositoryName="team/worker", imageIds=[{"imageTag": "1.0.0"}])["images"][0]
    assert got["imageManifest"].encode() == manifest()


def test_the_api_answers_under_its_own_name(site: Site) -> None:
    trust = ssl.create_default_context(cafile=str(site.server.ca_file))
    connection = _Renamed(trust, site.server.port, API)
    headers = {
        "Host": API,
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
        "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/ecr/aws4_request",
    }
    connection.request("POST", "/", "{}", headers)
    token = json.loads(connection.getresponse().read())["authorizationData"][0]["authorizationToken"]
    connection.close()
    assert site.ask("GET", "/v2/", authorization=token).status == 200
    assert site.ask("GET", "/v2/", authorization="").status == 401


def test_what_the_api_has_put_can_be_pulled(site: Site) -> None:
    where = {"repositoryName": "team/worker"}
    for blob in (b"{}", LAYER):
        upload = site.ecr.initiate_layer_upload(**where)["uploadId"]
        site.ecr.upload_layer_part(
            **where, uploadId=upload, partFirstByte=0, partLastByte=len(blob) - 1, layerPartBlob=blob
        )
        site.ecr.complete_layer_upload(**where, uploadId=upload, layerDigests=[digest_of(blob)])
    site.ecr.put_image(**where, imageManifest=manifest().decode(), imageTag="1")
    by_tag = site.ask("GET", "/v2/team/worker/manifests/1")
    by_digest = site.ask("GET", f"/v2/team/worker/manifests/{digest_of(manifest())}")
    assert (by_tag.body, by_tag.headers["Docker-Content-Digest"]) == (manifest(), digest_of(manifest()))
    assert (by_digest.body, by_digest.headers["Content-Type"]) == (manifest(), MANIFEST)
    assert site.ask("GET", f"/v2/team/worker/blobs/{digest_of(LAYER)}").body == LAYER


def test_a_part_of_a_layer_begins_where_the_one_before_has_ended(site: Site) -> None:
    upload = site.ecr.initiate_layer_upload(repositoryName="team/worker")["uploadId"]
    where = {"repositoryName": "team/worker", "uploadId": upload, "layerPartBlob": b"12345"}
    site.ecr.upload_layer_part(**where, partFirstByte=0, partLastByte=4)
    for first in (0, 4, 6):
        with pytest.raises(ClientError, match="InvalidLayerPartException"):
            site.ecr.upload_layer_part(**where, partFirstByte=first, partLastByte=first + 4)
    assert site.ecr.upload_layer_part(**where, partFirstByte=5, partLastByte=9)["lastByteReceived"] == 9


def test_head_tells_size_and_digest_without_the_bytes(site: Site) -> None:
    digest = site.push("1.0.0")
    blob = site.ask("HEAD", f"/v2/team/worker/blobs/{digest_of(LAYER)}")
    image = site.ask("HEAD", "/v2/team/worker/manifests/1.0.0")
    assert (blob.status, blob.headers["Content-Length"], blob.body) == (200, str(len(LAYER)), b"")
    assert (image.headers["Docker-Content-Digest"], image.headers["Content-Length"]) == (digest, str(len(manifest())))


def test_bytes_lie_in_the_servers_folder_without_a_name(site: Site, tmp_path: Path) -> None:
    site.upload(LAYER)
    held = [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()]
    assert [path.endswith(" (deleted)") for path in held if path.startswith(f"{tmp_path}/blob-")] == [True]
    assert not list(tmp_path.glob("blob-*"))


def test_a_part_of_a_blob(site: Site) -> None:
    site.upload(LAYER)
    path = f"/v2/team/worker/blobs/{digest_of(LAYER)}"
    part = site.ask("GET", path, Range="bytes=3-9")
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, LAYER[3:10], f"bytes 3-9/{len(LAYER)}")
    assert site.ask("GET", path, Range=f"bytes={len(LAYER) - 4}-").body == LAYER[-4:]
    assert site.ask("GET", path, Range=f"bytes={len(LAYER)}-").status == 416


def test_an_upload_in_chunks_goes_on_where_it_was(site: Site) -> None:
    begun = site.ask("POST", "/v2/team/worker/blobs/uploads/")
    place = begun.headers["Location"]
    site.ask("PATCH", place, LAYER[:1000], Content_Range="0-999")
    assert site.ask("GET", place).headers["Range"] == "0-999"
    wrong = site.ask("PATCH", place, LAYER[500:2000], Content_Range="500-1999")
    assert (wrong.status, wrong.headers["Range"]) == (416, "0-999")
    done = site.ask("PUT", f"{place}?digest={digest_of(LAYER)}", LAYER[1000:])
    assert (done.status, done.headers["Location"]) == (201, f"/v2/team/worker/blobs/{digest_of(LAYER)}")
    assert site.ask("GET", place).error[0] == "BLOB_UPLOAD_UNKNOWN"


def test_other_ways_to_upload(site: Site) -> None:
    site.ecr.create_repository(repositoryName="other")
    whole = site.ask("POST", f"/v2/team/worker/blobs/uploads/?digest={digest_of(b'{}')}", b"{}")
    mounted = site.ask("POST", f"/v2/other/blobs/uploads/?mount={digest_of(b'{}')}&from=team/worker")
    assert (whole.status, mounted.status) == (201, 201)
    assert site.ask("GET", f"/v2/other/blobs/{digest_of(b'{}')}").body == b"{}"
    unknown = site.ask("POST", f"/v2/other/blobs/uploads/?mount={digest_of(b'no')}&from=team/worker")
    assert (unknown.status, site.ask("DELETE", unknown.headers["Location"]).status) == (202, 204)


def test_a_blob_must_have_the_digest_that_is_named(site: Site) -> None:
    code, message = site.upload(b"layer", digest_of(b"other")).error
    assert code == "DIGEST_INVALID"
    assert digest_of(b"layer") in message
    assert site.ask("HEAD", f"/v2/team/worker/blobs/{digest_of(b'layer')}").status == 404


def test_a_manifest_must_have_the_digest_that_is_named(site: Site) -> None:
    site.push("1.0.0")
    assert site.put(digest_of(b"other"), manifest("second")).error[0] == "DIGEST_INVALID"
    assert site.put(digest_of(manifest("second")), manifest("second")).status == 201


def test_a_manifest_needs_what_it_names(site: Site) -> None:
    assert site.put("1.0.0", manifest()).error[0] == "MANIFEST_BLOB_UNKNOWN"
    index = json.dumps({"schemaVersion": 2, "manifests": [{"digest": digest_of(manifest())}]}).encode()
    assert site.put("all", index).error[0] == "MANIFEST_BLOB_UNKNOWN"
    site.push("1.0.0")
    assert site.put("all", index).status == 201


def test_an_image_that_is_put_again_by_digest_keeps_its_tags(site: Site) -> None:
    digest = site.push("1.0.0")
    assert site.put(digest, manifest()).status == 201
    found = site.ecr.describe_images(repositoryName="team/worker")["imageDetails"]
    assert [(one["imageDigest"], one["imageTags"]) for one in found] == [(digest, ["1.0.0"])]
    got = site.ecr.batch_get_image(repositoryName="team/worker", imageIds=[{"imageDigest": digest}])["images"][0]
    assert got["imageId"] == {"imageDigest": digest, "imageTag": "1.0.0"}


def test_a_manifest_is_small(site: Site) -> None:
    refused = site.ask("PUT", "/v2/team/worker/manifests/1", Content_Length=str(4 * 1024 * 1024 + 1))
    assert (refused.status, refused.error) == (413, ("MANIFEST_INVALID", "a manifest has at most 4194304 bytes"))


def test_an_immutable_tag_does_not_move(site: Site) -> None:
    digest = site.push("1.0.0")
    assert site.put("1.0.0", manifest()).status == 201
    refused = site.put("1.0.0", manifest("other"))
    assert (refused.status, refused.error) == (
        400,
        (
            "TAG_INVALID",
            "The image tag '1.0.0' already exists in the 'team/worker' repository and cannot be overwritten because "
            "the tag is immutable.",
        ),
    )
    assert site.ask("HEAD", "/v2/team/worker/manifests/1.0.0").headers["Docker-Content-Digest"] == digest


def test_exceptions_from_immutable_tags(site: Site) -> None:
    site.ecr.create_repository(
        repositoryName="signed",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filter": "sha256-*", "filterType": "WILDCARD"}],
    )
    for blob in (b"{}", LAYER):
        site.upload(blob, repository="signed")
    tags = ("sha256-12.sig", "1.0.0")
    first = [site.put(tag, manifest("1"), "signed").status for tag in tags]
    second = [site.put(tag, manifest("2"), "signed").status for tag in tags]
    assert (first, second) == ([201, 201], [201, 400])


def test_an_unknown_repository(site: Site) -> None:
    refused = site.ask("GET", "/v2/nobody/manifests/1")
    assert (refused.status, refused.error) == (
        404,
        ("NAME_UNKNOWN", "The repository with name 'nobody' does not exist in the registry with id '123456789012'"),
    )


def test_an_unknown_image(site: Site) -> None:
    site.push("1.0.0")
    for reference in ("2.0.0", digest_of(b"wrong")):
        refused = site.ask("GET", f"/v2/team/worker/manifests/{reference}")
        assert (refused.status, refused.error[0]) == (404, "MANIFEST_UNKNOWN")
        assert reference in refused.error[1]


def prolonged(token: str) -> str:
    """The password of a token with another end, and the signature that it had."""
    claims, _dot, signature = base64.b64decode(token).decode().partition(":")[2].partition(".")
    changed = json.loads(base64.urlsafe_b64decode(claims)) | {"expires": 9e9}
    return f"{base64.urlsafe_b64encode(json.dumps(changed).encode()).decode()}.{signature}"


def test_a_token_is_needed(site: Site) -> None:
    assert site.ask("GET", "/v2/").status == 200
    nobody = site.ask("GET", "/v2/", authorization="")
    assert (nobody.status, nobody.error[0]) == (401, "UNAUTHORIZED")
    assert nobody.headers["WWW-Authenticate"].startswith("Basic realm=")
    for user, password, why in (
        ("me", "x.y", "not me"),
        ("AWS", "123456789012-auth-token", "given out here"),
        ("AWS", prolonged(site.token()), "given out here"),
    ):
        refused = site.ask("GET", "/v2/", authorization=base64.b64encode(f"{user}:{password}".encode()).decode())
        assert refused.status == 401
        assert why in refused.error[1]


def test_a_token_is_good_for_one_registry(site: Site) -> None:
    other = site.ecr.get_authorization_token(registryIds=["210987654321"])["authorizationData"][0]
    refused = site.ask("GET", "/v2/", authorization=other["authorizationToken"])
    assert (refused.status, refused.error) == (
        403,
        ("DENIED", "the token is for registry 210987654321, this is 123456789012"),
    )


def test_a_token_expires(site: Site) -> None:
    site.harness.clock.advance(599)
    assert site.ask("GET", "/v2/").status == 200
    site.harness.clock.advance(1)
    refused = site.ask("GET", "/v2/team/worker/manifests/1")
    assert (refused.status, refused.error) == (
        403,
        ("DENIED", "Your authorization token has expired. Reauthenticate and try again."),
    )
    site.authorization = site.token()
    assert site.ask("GET", "/v2/").status == 200


def test_the_list_of_tags(site: Site) -> None:
    for tag in ("b", "a", "c"):
        site.push(tag, note=tag)
    assert json.loads(site.ask("GET", "/v2/team/worker/tags/list").body)["tags"] == ["a", "b", "c"]
    page = site.ask("GET", "/v2/team/worker/tags/list?n=2")
    assert json.loads(page.body)["tags"] == ["a", "b"]
    following = page.headers["Link"].split(";")[0].strip("<>")
    last = site.ask("GET", following)
    assert (json.loads(last.body)["tags"], last.headers["Link"]) == (["c"], None)


def test_what_refers_to_an_image(site: Site) -> None:
    digest = site.push("1.0.0")
    attached = manifest("sbom", subject={"digest": digest}, artifactType="application/vnd.cyclonedx+json")
    put = site.put(digest_of(attached), attached)
    assert (put.status, put.headers["OCI-Subject"]) == (201, digest)
    path = f"/v2/team/worker/referrers/{digest}"
    found = json.loads(site.ask("GET", path).body)["manifests"]
    assert [(one["digest"], one["artifactType"], one["annotations"]) for one in found] == [
        (digest_of(attached), "application/vnd.cyclonedx+json", {"note": "sbom"})
    ]
    assert json.loads(site.ask("GET", f"{path}?artifactType=other").body)["manifests"] == []


def test_faults_reach_the_registry(site: Site) -> None:
    site.push("1.0.0")
    site.harness.world.faults.replace(
        [
            {"kind": kind, "service": "registry", "operation": "BatchGetImage", "times": 1}
            for kind in ("denied", "throttle")
        ]
    )
    replies = [site.ask("GET", "/v2/team/worker/manifests/1.0.0") for _unused in range(3)]
    assert [one.status for one in replies] == [403, 429, 200]
    assert replies[0].error[1].endswith("is not authorized to perform: ecr:BatchGetImage")


def test_manifests_are_not_deleted_here(site: Site) -> None:
    assert site.ask("DELETE", "/v2/team/worker/manifests/1").error[0] == "UNSUPPORTED"


def test_the_process_runner_runs_what_an_engine_pushed(site: Site, tmp_path: Path) -> None:
    root = images.pull(f"{HOST}/team/worker@{site.push('1.0.0')}", tmp_path / "images")
    assert (root / "app" / "file").read_bytes() == CONTENT
