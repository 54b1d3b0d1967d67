"""What a person does to photos, and that the run folder has all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgetransfer.errors import UsageError
from edgetransfer.stream import forget, relabel
from edgetransfer.stream.learning.ids import id_key
from tests.stream.stream_pictures import label_of, picture
from tests.teach.taught import Taught


def test_photos_are_taken_in_once_and_a_second_drop_labels_them(taught: Taught) -> None:
    found = taught.give(picture(0), picture(1), label="red")
    assert [p["status"] for p in found] == ["accepted", "accepted"]
    assert [p["name"] for p in found] == ["0.png", "1.png"]
    again = taught.give(picture(1), picture(2), label="green")
    assert [p["status"] for p in again] == ["duplicate", "accepted"]
    assert taught.room.album.counts == {"red": 1, "green": 2}
    later = taught.give(picture(3))
    assert taught.room.album.get(later[0]["id"]).label is None
    taught.give(picture(3), label="red")
    assert taught.room.album.counts == {"red": 2, "green": 2}


def test_what_is_no_photo_is_named_and_the_others_are_taken(taught: Taught) -> None:
    found = taught.give(picture(0), b"not a photo", picture(1), label="red")
    assert [p["status"] for p in found] == ["accepted", "rejected", "accepted"]
    assert "not an image" in found[1]["reason"]


def test_each_photo_counts_at_once(taught: Taught) -> None:
    for i in range(24):
        taught.give(picture(i), label=label_of(i))
    taught.reviewed()  # a moment later, the head is that of all of them
    right = 0
    for i in range(100, 120):
        _, guess = taught.ask("POST", "/guess", picture(i))
        right += next(iter(guess["classes"])) == label_of(i)
    assert right >= 19
    assert len(taught.room.album) == 24  # a guess takes nothing in


def test_a_command_that_forgets_or_goes_back_leaves_no_steps(tmp_path: Path) -> None:
    taught = Taught(tmp_path / "run")
    found = taught.give(picture(0), picture(1), label="secret")
    taught.give(picture(2), label="b")
    taught.room.confirm([found[0]["id"]])
    taught.close()
    forget(taught.run, ids=frozenset(), classes=frozenset(["secret"]))
    assert not (taught.run / "steps.json").exists()
    for path in taught.run.rglob("*.json"):
        assert found[0]["id"] not in path.read_text(), path
        assert "secret" not in path.read_text(), path


def test_commands_reach_a_page_that_is_open(taught: Taught) -> None:
    """Its photos and its steps back are those of the run, whoever changed it."""
    found = [one["id"] for one in taught.give(*[picture(i) for i in range(6)], label="red")]
    taught.give(picture(6), picture(7), label="blue")
    taught.lesson.label(found[4:], "green")
    run, album = taught.run, taught.room.album
    report = forget(run, ids=frozenset([found[0], "never"]), classes=frozenset(["blue"]))
    assert (report["removed"], len(album)) == (3, 5)
    assert forget(run, ids=frozenset(), classes=frozenset(["blue"]))["removed"] == 0
    with pytest.raises(UsageError, match="no class 'pink'"):
        forget(run, ids=frozenset(), classes=frozenset(["pink"]))
    moved = relabel(run, [found[1], found[4], "never"], "green")
    assert (moved["changed"], moved["unchanged"]) == (1, 1)
    assert list(moved["refused"]) == ["never"]
    for sent, status, said in (
        ({"id": found[2], "forget": True}, 200, "forgotten"),
        ({"id": found[2], "forget": True}, 404, None),
        ({"id": found[3], "label": "green", "relabel": True}, 200, "relabelled"),
        ({"id": found[3], "label": "green", "relabel": True}, 200, "duplicate"),
        ({"class": "pink", "forget": True}, 422, None),
        ({"id": "never", "label": "green", "relabel": True}, 404, None),
    ):
        answer = taught.post("/samples", sent)
        assert (answer[0], answer[1].get("status")) == (status, said)
    assert album.counts == taught.learner.durable.learner.class_counts == {"green": 4}
    assert taught.post("/samples", {"class": "green", "forget": True})[1]["removed"] == 4
    assert len(album) == 0
    assert taught.lesson.undo() is None  # there is no way back to what a command forgot


def test_a_forgotten_photo_leaves_nothing_in_the_run_folder(taught: Taught) -> None:
    """Neither its thumbnail nor its features nor its id, in any file."""
    found = taught.give(*[picture(i) for i in range(8)], label="red")
    gone = found[3]["id"]
    taught.room.confirm([gone])
    row = np.ascontiguousarray(taught.room.album.get(gone).features)
    taught.lesson.forget([gone])
    files = [path for path in taught.run.rglob("*") if path.is_file()]
    assert f"{id_key(gone).hex()}.jpg" not in {path.name for path in files}
    for path in files:
        data = path.read_bytes()
        assert gone.encode() not in data, path
        assert row.astype("<f4").tobytes() not in data, path
        assert row.tobytes() not in data, path
    assert len([p for p in files if p.parent.name == "thumbnails"]) == 7
    # It may come again, as a new photo.
    assert taught.give(picture(3), label="red")[0]["status"] == "accepted"


def test_a_photo_that_left_the_pool_can_still_be_labelled(tmp_path: Path) -> None:
    taught = Taught(tmp_path / "run", pool_bytes=300)  # three of them
    try:
        found = taught.give(*[picture(i) for i in range(8)])
        assert taught.post("/label", {"ids": [found[0]["id"]], "label": "red"}) == (
            200,
            {"photos": 1},
        )
        assert taught.room.album.counts == {"red": 1}
        assert len(taught.room.album) == 8
    finally:
        taught.close()


def test_confirmed_labels_are_not_doubted_again(tmp_path: Path) -> None:
    taught = Taught(tmp_path / "run")
    for i in range(32):
        taught.give(picture(i), label=label_of(i) if i != 9 else "red")  # 9 is green
    (doubt,) = taught.reviewed().doubts
    assert (doubt.label, doubt.proposed) == ("red", "green")
    assert taught.post("/confirm", {"ids": [doubt.id]})[0] == 200
    taught.close()
    taught = Taught(tmp_path / "run")
    taught.give(picture(99), label=label_of(99))
    assert taught.reviewed().doubts == ()
    taught.close()


def test_a_class_without_photos_is_no_class(tmp_path: Path) -> None:
    """However it lost them: neither the head, nor its labels, nor a restart know its name."""
    taught = Taught(tmp_path / "run")
    for label, first in (("red", 0), ("green", 1), ("blue", 2)):
        taught.give(*[picture(i) for i in range(first, 24, 4)], label=label)
    taught.lesson.rename("red", "rouge")
    taught.lesson.unlabel(taught.room.album.of_class("green"))
    assert taught.learner.durable.learner.head.classes == ("blue", "rouge")
    taught.lesson.undo()
    taught.lesson.undo()
    assert set(taught.learner.durable.learner.head.classes) == {"blue", "green", "red"}
    taught.lesson.forget_class("blue")
    taught.room.reviewer.changed()
    taught.reviewed()
    guess = taught.ask("POST", "/guess", picture(100))[1]
    assert next(iter(guess["classes"])) == "red"
    assert set(guess["classes"]) == {"green", "red"}
    taught.close()
    taught = Taught(tmp_path / "run")
    assert set(taught.learner.durable.learner.head.classes) == {"green", "red"}
    assert "blue" not in (tmp_path / "run" / "labels.txt").read_text()
    taught.close()


def test_a_run_that_cannot_be_corrected_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--learner statistics"):
        Taught(tmp_path / "run", learner="replay")


def test_the_command_forgets_thumbnails_too(tmp_path: Path) -> None:
    taught = Taught(tmp_path / "run")
    found = taught.give(*[picture(i) for i in range(6)], label="red")
    taught.give(*[picture(i) for i in range(6, 10)], label="green")
    taught.close()
    folder = tmp_path / "run" / "thumbnails"
    assert len(list(folder.iterdir())) == 10
    forget(tmp_path / "run", ids=frozenset([found[0]["id"]]), classes=frozenset())
    assert len(list(folder.iterdir())) == 9
    forget(tmp_path / "run", ids=frozenset(), classes=frozenset(["green"]))
    assert len(list(folder.iterdir())) == 5
    taught = Taught(tmp_path / "run")
    assert taught.room.album.counts == {"red": 5}
    taught.close()
