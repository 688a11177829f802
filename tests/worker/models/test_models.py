# SPDX-License-Identifier: Apache-2.0
"""Models from S3: fetched once, checked, whole or not at all, shared, and bounded."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from api_scheduler.logs import Log
from api_scheduler.models import Models, ModelUnusable
from api_scheduler.models.download import PART_BYTES
from api_scheduler.models.prefetch import prefetch
from tests.worker.harness import ROOT, SOURCE, until
from tests.worker.models.shelf import BadLine, Files, Hurried, Shelf, model, read, weights, with_manifest

LARGE = PART_BYTES + 1000


def without_list(files: Files) -> Files:
    return {name: body for name, body in files.items() if name != "SHA256SUMS"}


def test_a_model_is_fetched_whole_and_once(shelf: Shelf) -> None:
    files = model(LARGE)
    location = shelf.put("m", {**files, "README.md": b"not the model"})
    assert read(shelf.models({"a": location})) == without_list(files)
    assert len(shelf.reads) == 2
    shelf.reads.clear()
    assert read(shelf.models({"a": location})) == without_list(files)
    assert shelf.reads == []
    assert "model download done" in shelf.log.getvalue()


def test_a_new_writing_of_the_model_is_fetched_anew(shelf: Shelf) -> None:
    location = shelf.put("m", model(seed=1))
    models = shelf.models({"a": location})
    before = read(models)
    shelf.put("m", model(seed=2))
    # By the next worker: one draws with the same bytes for as long as it lives.
    assert read(models) == before
    assert read(shelf.models({"a": location})) != before


@pytest.mark.parametrize("bad", ["unet/model.safetensors", "unet/config.json"])
def test_a_wrong_digest_is_refused_by_the_files_name(shelf: Shelf, bad: str) -> None:
    files = model()
    location = shelf.put("m", {**files, bad: b"something else"})
    with pytest.raises(ModelUnusable, match=bad):
        read(shelf.models({"a": location}))
    assert shelf.whole() == []
    shelf.put("m", files)
    assert read(shelf.models({"a": location})) == without_list(files)


def test_a_wrong_digest_is_refused_again_and_never_slips_in(shelf: Shelf) -> None:
    location = shelf.put("m", {**model(), "unet/model.safetensors": weights(seed=9)})
    for _again in range(2):
        with pytest.raises(ModelUnusable, match=r"unet/model.safetensors: its sha256 is"):
            read(shelf.models({"a": location}))
    assert shelf.whole() == []


def test_a_reply_that_breaks_off_is_asked_for_again(shelf: Shelf) -> None:
    broken: list[str] = []

    def breaks(part: str) -> bool:
        broken.append(part)
        return bool(part) and broken.count(part) == 1

    files, line = model(LARGE), BadLine(shelf.endpoint, breaks)
    location = shelf.put("m", files)
    assert read(shelf.models({"a": location}, endpoint=line.url)) == without_list(files)
    line.close()


def test_a_download_that_stopped_goes_on_from_there(shelf: Shelf) -> None:
    files = model(LARGE)
    location = shelf.put("m", files)
    second = f"bytes={PART_BYTES}-{LARGE - 1}"
    line = BadLine(shelf.endpoint, lambda part: part == second)
    with pytest.raises(ModelUnusable, match="goes on from there"):
        read(shelf.models({"a": location}, endpoint=line.url))
    line.close()
    assert shelf.whole() == []
    shelf.reads.clear()
    assert read(shelf.models({"a": location})) == without_list(files)
    assert shelf.reads == [second]


CHILD = """
import sys
from pathlib import Path
from tests.worker.harness import ROOT, SOURCE, until
from tests.worker.models.shelf import Shelf, read
endpoint, line, bucket, root, location = sys.argv[1:]
read(Shelf(endpoint, bucket, Path(root)).models({"a": location}, endpoint=line))
"""


def test_a_worker_that_is_killed_leaves_what_the_next_one_goes_on_from(shelf: Shelf) -> None:
    files, second, killed = model(LARGE), f"bytes={PART_BYTES}-{LARGE - 1}", threading.Event()
    location = shelf.put("m", files)
    line = BadLine(shelf.endpoint, lambda part: part == second and killed.wait(60))
    arguments = [shelf.endpoint, line.url, shelf.bucket, str(shelf.root), location]
    environment = {**os.environ, "PYTHONPATH": f"{SOURCE}:{ROOT}"}
    child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], env=environment)
    first = "unet/model.safetensors 0\n"
    until(lambda: [path for path in shelf.root.glob("partial/*/parts") if first in path.read_text()])
    child.kill()
    child.wait()
    killed.set()
    line.close()
    assert shelf.whole() == []
    assert read(shelf.models({"a": location})) == without_list(files)
    assert shelf.reads == [second]


def test_two_workers_that_share_a_cache_fetch_once(shelf: Shelf) -> None:
    files = model(LARGE)
    location = shelf.put("m", files)
    found: list[Files] = []
    workers = [
        threading.Thread(target=lambda: found.append(read(shelf.models({"a": location})))) for _unused in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert found == [without_list(files)] * 3
    assert len(shelf.reads) == 2


def test_models_that_nobody_has_asked_for_are_fetched_ahead(shelf: Shelf, tmp_path: Path) -> None:
    locations = {name: shelf.put(name, model(seed=seed)) for seed, name in enumerate("abc")}
    locations |= {"here": str(tmp_path), "bad": f"s3://{shelf.bucket}/nothing/"}
    models, stopped = shelf.models(locations), threading.Event()
    asked: list[bool] = []

    def ready() -> bool:
        asked.append(True)
        return len(asked) > 3

    prefetch(models, ready, stopped, Hurried(), Log(Hurried(), {}, shelf.log))
    assert len(shelf.whole()) == 2
    assert "model not fetched" in shelf.log.getvalue()
    shelf.reads.clear()
    assert read(models, "b") and read(models, "c")
    assert shelf.reads == []


def test_what_was_used_longest_ago_makes_room(shelf: Shelf) -> None:
    locations = {name: shelf.put(name, model(10_000, seed)) for seed, name in enumerate("abc")}
    models = shelf.models(locations, limit=25_000)
    for name in "aba":
        read(models, name)
    read(models, "c")
    assert len(shelf.whole()) == 2
    shelf.reads.clear()
    read(models, "a")
    assert shelf.reads == []
    read(models, "b")
    assert len(shelf.reads) == 1


def test_a_model_in_use_is_not_removed(shelf: Shelf) -> None:
    locations = {name: shelf.put(name, model(10_000, seed)) for seed, name in enumerate("ab")}
    models = shelf.models(locations, limit=15_000)
    with models.open("a") as used:
        with pytest.raises(ModelUnusable, match="SD_MODEL_CACHE_GIB"):
            read(models, "b")
        assert (used.path / "unet/model.safetensors").is_file()
    assert read(models, "b")


def test_a_model_larger_than_the_cache_empties_it_of_nothing(shelf: Shelf) -> None:
    locations = {"a": shelf.put("a", model(10_000, 1)), "huge": shelf.put("huge", model(40_000, 2))}
    models = shelf.models(locations, limit=25_000)
    read(models, "a")
    with pytest.raises(ModelUnusable, match="SD_MODEL_CACHE_GIB"):
        read(models, "huge")
    assert len(shelf.whole()) == 1


def test_a_model_larger_than_the_cache_is_refused_before_it_is_fetched(shelf: Shelf) -> None:
    location = shelf.put("m", model(10_000))
    with pytest.raises(ModelUnusable, match="SD_MODEL_CACHE_GIB"):
        read(shelf.models({"a": location}, limit=5000))
    assert shelf.reads == []


def test_a_pickle_in_the_bucket_is_refused_by_name(shelf: Shelf) -> None:
    location = shelf.put("m", {**model(), "unet/model.bin": b"x"})
    with pytest.raises(ModelUnusable, match=r"unet/model.bin is a pickle"):
        read(shelf.models({"a": location}))


def test_without_a_list_of_digests_a_model_is_refused_unless_that_is_allowed(shelf: Shelf) -> None:
    files = without_list(model())
    location = shelf.put("m", files)
    with pytest.raises(ModelUnusable, match="SHA256SUMS"):
        read(shelf.models({"a": location}))
    assert read(shelf.models({"a": location}, digests_required=False)) == files


def test_digests_that_s3_keeps_are_as_good_as_a_list(shelf: Shelf) -> None:
    files = without_list(model())
    location = shelf.put("m", files, ChecksumAlgorithm="SHA256")
    assert read(shelf.models({"a": location})) == files


def test_a_pinned_list_admits_no_other_model(shelf: Shelf) -> None:
    files = model()
    location = shelf.put("m", files) + "@sha256:" + hashlib.sha256(files["SHA256SUMS"]).hexdigest()
    assert read(shelf.models({"a": location}))
    shelf.put("m", model(seed=2))
    with pytest.raises(ModelUnusable, match="another model"):
        read(shelf.models({"a": location}))


def test_a_single_file_comes_with_the_configuration_beside_it(shelf: Shelf) -> None:
    files = with_manifest(
        {"m.safetensors": weights(), "m/model_index.json": model()["model_index.json"], "m/unet/config.json": b"{}"}
    )
    location = shelf.put("shelf", {**files, "other.safetensors": b"another model"})
    with shelf.models({"a": f"{location}m.safetensors"}).open() as found:
        assert found.single_file
        assert found.path.read_bytes() == weights()
        assert (found.config / "unet/config.json").is_file()
        assert not (found.path.parent / "other.safetensors").exists()


@pytest.mark.parametrize(
    "location", ["s3://{bucket}/nothing/", "s3://{bucket}/no.safetensors", "s3://no-such-bucket/m/"]
)
def test_a_model_that_is_not_there_is_named(shelf: Shelf, location: str) -> None:
    where = location.format(bucket=shelf.bucket)
    with pytest.raises(ModelUnusable, match=where):
        read(shelf.models({"a": where}))


def test_a_name_that_is_none_of_the_deployments_is_refused() -> None:
    with pytest.raises(ModelUnusable, match="the deployment has a, b"):
        read(Models({"a": "/a", "b": "/b"}), "c")


def test_a_directory_is_checked_against_its_list(tmp_path: Path) -> None:
    for name, body in model().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(body)
    assert read(Models({"a": str(tmp_path)}))
    (tmp_path / "unet/config.json").write_bytes(b"[]")
    with pytest.raises(ModelUnusable, match=r"unet/config.json"):
        read(Models({"a": str(tmp_path)}))
