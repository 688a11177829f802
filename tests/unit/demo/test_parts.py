# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests, the changed sources, the sheet and the table of the demo."""

from __future__ import annotations

import collections
import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from scripts.rehearsal import gallery, prompts, sheet, sources, stage, summary

WORKER = stage.ROOT / "worker_app"


def picture(colour: str = "red", side: int = 32) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_requests_show_every_digit_and_no_two_are_alike() -> None:
    requests = [prompts.request(number, "x") for number in range(60)]
    assert collections.Counter(one["context"]["digit"] for one in requests) == dict.fromkeys(range(10), 6)
    assert len({one["id"] for one in requests}) == 60
    assert len({one["payload"]["prompt"] for one in requests}) == 60
    assert all(prompts.DIGITS[one["context"]["digit"]] in one["payload"]["prompt"] for one in requests)


def test_a_digit_never_has_the_colour_of_its_background() -> None:
    for number in range(200):
        words = prompts.request(number, "x")["payload"]["prompt"].replace(",", "").split()
        colours = [word for word in words if word in prompts.COLOURS or word in prompts.BACKGROUNDS]
        assert len(set(colours)) == 2


@pytest.mark.parametrize("edit", [sources.SMALLER_PICTURES, sources.BROKEN_SAMPLER, sources.BROKEN_JOBS])
def test_the_worker_holds_the_line_that_a_version_changes(edit: sources.Edit, tmp_path: Path) -> None:
    sources.copy_source(WORKER, tmp_path / "copy", [sources.version_edit("1.0.0", "1.1.0"), edit])
    changed = tmp_path / "copy" / "src" / "api_scheduler" / edit.file
    compile(changed.read_text(), edit.file, "exec")
    assert edit.after in changed.read_text()
    assert (tmp_path / "copy" / "requirements.txt").read_bytes() == (WORKER / "requirements.txt").read_bytes()


def test_a_line_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    with pytest.raises(sources.SourceChanged, match="0 times"):
        sources.apply_edit(tmp_path / "a.py", sources.Edit("a.py", "x = 2", "x = 3"))


def test_the_sheet_has_room_for_every_picture(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(picture())
    prints = [sheet.Print(tmp_path / "p.png", "a photo of the red digit three on a white background", 7)] * 7
    sheet.contact_sheet(prints, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as written:
        step = sheet.SIDE + sheet.GAP
        assert written.size == (sheet.GAP + 6 * step, sheet.GAP + 2 * (step + sheet.CAPTION))
        corners = [(sheet.GAP + 1, sheet.GAP + 1), (sheet.GAP + 1, sheet.GAP + step + sheet.CAPTION + 1)]
        assert [written.getpixel(corner) for corner in corners] == [(255, 0, 0), (255, 0, 0)]


def test_a_picture_counts_only_when_it_is_the_one_of_its_result() -> None:
    content = picture()
    image = {"width": 32, "height": 32, "sha256": hashlib.sha256(content).hexdigest()}
    assert gallery.is_readable(content, image)
    assert not gallery.is_readable(content[:40], {**image, "sha256": hashlib.sha256(content[:40]).hexdigest()})
    assert not gallery.is_readable(content, {**image, "width": 64})
    assert not gallery.is_readable(content, {**image, "sha256": "0"})


def test_pictures_are_held_to_the_classifier() -> None:
    good, bad = ({"confirmed": n, "total": 100, "share": n / 100} for n in (97, 80))
    assert [check.ok for check in gallery.picture_checks(100, 100, good)] == [True, True]
    assert [check.ok for check in gallery.picture_checks(100, 99, bad)] == [False, False]


def test_smoke_requests_are_left_out() -> None:
    jobs = [{"request_id": "s", "smoke": True}, {"request_id": "a", "smoke": False}]
    results = {"s": {"context": {"smoke": True}}, "a": {"context": {"digit": 3}}}
    assert summary.drop_smoke(results, jobs) == ({"a": results["a"]}, jobs[1:])


def test_the_table_shows_what_failed() -> None:
    document = {
        "seconds": {"provision": 12.34},
        "releases": [{"sequence": 1, "kind": "deploy", "version": "1.0.0", "outcome": "succeeded"}],
        "requests": {"sent": 3, "drawn_twice": 0},
        "checks": [{"name": "stable", "ok": False, "detail": "1.1.0, not 1.0.0"}],
    }
    text = summary.table(document)
    assert "FAIL stable" in text
    assert "1.1.0, not 1.0.0" in text
    assert "drawn twice" in text


def test_what_a_playbook_says_is_found_across_lines() -> None:
    run = stage.PlaybookRun("rollback", 0, "msg: there is nothing\n      to roll back to\n")
    assert run.says("there is nothing to roll back to")
    assert not run.says("nothing was changed")


def test_a_playbook_sees_nothing_of_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "minimal")
    found = stage.environment("http://127.0.0.1:1")
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert "AWS_PROFILE" not in found
    assert "ANSIBLE_STDOUT_CALLBACK" not in found
