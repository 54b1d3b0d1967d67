"""Ids and labels of all kinds in a stream, through everything that it writes."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.data.labels import Spellings
from edgetransfer.errors import DataError
from edgetransfer.heads import LinearHead
from edgetransfer.stream import OnlineLearner, run_stream
from edgetransfer.stream.http.prometheus import exposition
from edgetransfer.stream.learning.records import Record, decode
from edgetransfer.stream.snapshot import Throughput
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for
from tests.stream.test_durable import blob, opened

NAMES = st.binary(min_size=1, max_size=30).map(os.fsdecode) | st.text(min_size=1, max_size=20)


@given(NAMES, NAMES | st.none())
def test_a_record_gives_every_name_back(name: str, label: str | None) -> None:
    rows = np.ones((1, 2), np.float32)
    record = Record(n=3, group=1, kind="sample", id=name, label=label, time=1.5, rows=rows)
    found = decode(record.encoded(), 0)
    assert found is not None
    assert (found[0].id, found[0].label) == (name, label)


@settings(max_examples=6, deadline=None)
@given(names=st.lists(NAMES, min_size=2, max_size=4, unique=True))
def test_a_run_with_names_of_all_kinds_goes_on(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    """Labels are checked at the door; a journal that holds others is replayed all the same."""
    path = tmp_path_factory.mktemp("named") / "run"
    for start in (0, 12):
        durable = opened(path)
        for i in range(start, start + 12):
            offer = blob(i)
            label = names[i % len(names)]
            (receipt,) = durable.accept(
                [type(offer)(id=f"{label}{i}", label=label, rows=offer.rows)]
            )
            assert receipt.status == "accepted"
        assert durable.known(f"{names[0]}{start}")
        durable.flush()
        durable.save()
        assert durable.report()["class_counts"].keys() == set(names)
        durable.close()
    head = LinearHead.load(path / "head.safetensors")
    assert set(head.classes) == set(names)
    report = json.loads((path / "report.json").read_text(encoding="utf-8"))
    assert report["class_counts"] == dict.fromkeys(names, 24 // len(names))
    assert len((path / "labels.txt").read_bytes().splitlines()) >= len(names)
    shutil.rmtree(path)


def watched(tmp_path: Path) -> Path:
    folder = tmp_path / os.fsdecode(b"w\xe4rme")
    names = {b"gr\xfcn.png": "a", b"\x1b[31m\n.png": "b", "猫.png".encode(): "a"}
    for i, (name, label) in enumerate(names.items()):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / os.fsdecode(name)).write_bytes(picture(i))
    (folder / "b" / os.fsdecode(b"broken\xe4.png")).write_bytes(b"no photo")
    (folder / os.fsdecode(b"r\xf6t")).mkdir()
    (folder / os.fsdecode(b"r\xf6t") / "1.png").write_bytes(picture(9))
    for path in folder.rglob("*.png"):
        os.utime(path, (1e9, 1e9))
    return folder


def test_a_watched_folder_with_such_names(tmp_path: Path) -> None:
    source = f"folder:{watched(tmp_path)}"
    out = tmp_path / os.fsdecode(b"l\xe4uft")
    for _ in range(2):
        report = run_stream(
            settings_for(source, out, once=True), feature_source=fake_feature_source()
        )
        assert (report["accepted"], report["refused"]) == (3, 2)
        lines = (out / "skipped.jsonl").read_text(encoding="utf-8").splitlines()
        ids = [os.fsencode(json.loads(line)["id"]) for line in lines]
        assert sorted(ids) == [b"b/broken\xe4.png", b"r\xf6t/1.png"]  # once, over all starts
    assert (out / "labels.txt").read_text() == "a\nb\n"


@pytest.mark.parametrize("label", ["a\nb", "\x1b[0m", os.fsdecode(b"r\xf6t"), " "])
def test_callers_are_held_to_the_rule_for_labels_too(label: str, tmp_path: Path) -> None:
    with OnlineLearner(
        settings_for("", tmp_path / "run"), feature_source=fake_feature_source()
    ) as learner:
        with pytest.raises(DataError, match="label"):
            learner.learn(picture(0), label)
        learner.learn(picture(0), None, id="x")
        with pytest.raises(DataError, match="label"):
            learner.label("x", label)
        assert learner.label("x", label_of(0)).status == "labelled"
        text = exposition(Throughput(learner).look(queued=0, refused=0))
        assert text.encode(errors="replace")


def test_labels_that_look_alike_are_remarked_on_once(caplog: pytest.LogCaptureFixture) -> None:
    spellings = Spellings(["cat", "dog"])
    with caplog.at_level(logging.WARNING, "edgetransfer"):
        for label in ("cat", "Cat", "Cat", "dog", "do g", "bird"):
            spellings.see(label)
    assert [record.args for record in caplog.records] == [("Cat", "cat"), ("do g", "dog")]
