"""A stream of features: what one of their photos learns, without a photo and without an engine."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from edgetransfer import Classifier, extract_features
from edgetransfer.engines import opening as engine_opening
from edgetransfer.errors import BackboneError, DataError
from edgetransfer.features import table_folder
from edgetransfer.features.tables import TableRows
from edgetransfer.images import decoding
from edgetransfer.stream import (
    OnlineLearner,
    check,
    forget,
    relabel,
    run_stream,
)
from edgetransfer.stream.keeping.recovery import IDS
from edgetransfer.stream.learning.ids import ID_BYTES
from edgetransfer.stream.table_features import ToldBy
from tests.photos import backbone, photos, write_photos
from tests.stream.features_made import made, settings_for
from tests.stream.stream_children import Children
from tests.stream.stream_pictures import fake_feature_source, label_of, learned_state
from tests.stream.stream_pictures import settings_for as small
from tests.stream.tables_made import joined, rows_of, write_folder
from tests.stream.test_beginning import sums

__all__ = ["backbone", "made", "photos"]

STATISTICS = {"learner": "statistics"}


@pytest.fixture
def without_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who decodes a photo or opens an engine fails."""

    def refused(*_given: Any, **_named: Any) -> None:
        raise AssertionError("a photo, or an engine")

    monkeypatch.setattr(decoding, "decode_image", refused)
    monkeypatch.setattr("edgetransfer.stream.opening.open_engine", refused)
    monkeypatch.setattr(engine_opening, "open_engine", refused)


@pytest.mark.usefixtures("without_photos")
def test_no_image_is_decoded_and_no_engine_opened(made: Path, tmp_path: Path) -> None:
    tables = made / "features"
    report = run_stream(settings_for(tmp_path / "run", f"data:{tables}", test_data=tables))
    assert (report["accepted"], report["refused"], report["engine"]) == (60, 0, "onnxruntime")
    assert report["final"]["top1"] == 1.0  # on the 15 rows of the test split


def test_it_is_as_if_their_photos_had_streamed(made: Path, backbone: Path, tmp_path: Path) -> None:
    by_tables = settings_for(tmp_path / "tables", f"data:{made / 'features'}")
    run_stream(by_tables)
    of_photos = settings_for(
        tmp_path / "photos",
        f"data:{made / 'photos'}",
        backbone=str(backbone),
        normalisation="half",
        test_data=made / "photos",
    )
    run_stream(of_photos)
    assert sums(tmp_path / "tables") == sums(tmp_path / "photos")
    # And photos go on where tables ended: what came is known by the ids that it had there.
    again = run_stream(replace(of_photos, out=tmp_path / "tables"))
    assert (again["accepted"], again["final"]["top1"]) == (60, 1.0)
    assert relabel(tmp_path / "tables", ["train/red/000.png"], "blue")["changed"] == 1
    forget(tmp_path / "tables", ids=frozenset(["train/red/001.png"]), classes=frozenset())
    assert check(tmp_path / "tables").findings == ()
    with Classifier.load(tmp_path / "tables", engine="onnxruntime") as classifier:
        photo = made / "photos" / "test" / "green" / "000.png"
        assert classifier.predict(photo).classes[0] == "green"


def test_features_and_photos_side_by_side(made: Path, tmp_path: Path) -> None:
    """The tables say by what the photos are seen; the ids of the second have its name in front."""
    incoming = tmp_path / "incoming"
    write_photos(incoming, 2, seed=7)
    source = f"folder:{incoming}"
    both = settings_for(tmp_path / "run", f"data:{made / 'features'}", source, once=True)
    assert run_stream(both)["accepted"] == 66
    assert run_stream(both)["accepted"] == 66
    assert relabel(tmp_path / "run", [f"{source}/red/000.png"], "blue")["changed"] == 1


def test_who_has_no_backbone_learns_and_is_told(
    made: Path, backbone: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Features of a cluster, on a machine that the backbone never came to."""
    there = tmp_path / "cluster.onnx"
    shutil.copy(backbone, there)
    features = tmp_path / "features"
    extract_features(
        data=made / "photos",
        out=features,
        backbone=str(there),
        engine="onnxruntime",
        normalisation="half",
    )
    there.unlink()
    run_stream(settings_for(tmp_path / "run", f"data:{features}"))
    (said,) = (r.message for r in caplog.records if "is not needed to learn" in r.message)
    assert "cluster.onnx" in said
    assert "predicts or exports needs it" in said
    run_stream(settings_for(tmp_path / "other", f"data:{made / 'features'}"))
    assert sums(tmp_path / "run") == sums(tmp_path / "other")
    photo = made / "photos" / "test" / "red" / "000.png"
    with pytest.raises(BackboneError, match="no longer there; if it was moved, give --backbone"):
        Classifier.load(tmp_path / "run")
    found = Classifier.load(tmp_path / "run", backbone=str(backbone), engine="onnxruntime")
    with found as classifier:
        assert classifier.predict(photo).classes[0] == "red"
    # Where the engine is needed, its absence is no warning.
    with pytest.raises(DataError, match=r"cluster\.onnx"):
        run_stream(
            settings_for(
                tmp_path / "no", f"data:{features}", f"folder:{made / 'photos'}", once=True
            )
        )
    assert not (tmp_path / "no").exists()


def odd_rows() -> TableRows:
    """Each kind of row that is not learned as it stands."""
    train, late = rows_of(range(40)), rows_of(range(40, 44))
    train.problems[3] = "cannot be decoded"
    train.features[3] = np.nan
    train.features[5, 7] = np.inf
    train.labels[6] = "a\nb"
    late.labels[:] = [""] * 4
    return joined(
        train,
        late,
        rows_of(range(50, 60), "val"),
        rows_of(range(60, 70), "test"),
        rows_of(range(70, 75)),
    )


def test_each_row_is_learned_kept_unlabelled_refused_or_left(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "features", odd_rows(), per_table=16)
    report = run_stream(small(f"data:{folder}", tmp_path / "run", learning=STATISTICS))
    assert report["accepted"] == 40 - 3 + 4 + 5
    assert report["learned"] == 40 - 3 + 5
    assert report["refused"] == 3
    lines = [json.loads(x) for x in (tmp_path / "run" / "skipped.jsonl").read_text().splitlines()]
    assert {line["id"]: line["reason"].split(":")[0] for line in lines} == {
        "n3": "cannot be decoded",
        "n5": "its features are not finite",
        "n6": "label 'a\nb' holds a control character or a line break",
    }
    # An unlabelled row gets its label as any other sample.
    settings = small(f"data:{folder}", tmp_path / "run", learning=STATISTICS)
    told = ToldBy.sources(settings)
    assert told is not None
    settings = told.named(settings)
    with OnlineLearner(
        settings, feature_source=told.feature_source(settings, photos=False)
    ) as learner:
        assert learner.label("n41", "green").status == "labelled"
        assert learner.durable.learner.counts.learned == 40 - 3 + 5 + 1


@pytest.mark.parametrize(("learner", "stops"), [("statistics", (16, 17, 50)), ("replay", (7,))])
def test_stopped_and_gone_on_it_is_the_same(
    learner: str, stops: tuple[int, ...], tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "features", rows_of(range(90)), per_table=16)
    learning = {"learner": learner}
    whole = small(f"data:{folder}", tmp_path / "whole", learning=learning)
    parts = small(f"data:{folder}", tmp_path / "parts", learning=learning)
    run_stream(whole)
    for limit in stops:
        assert run_stream(replace(parts, limit=limit))["accepted"] == limit
    assert run_stream(parts)["accepted"] == 90
    if learner == "statistics":
        assert sums(tmp_path / "parts") == sums(tmp_path / "whole")
    assert check(tmp_path / "parts").findings == ()


def test_groups_that_are_known_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "features", rows_of(range(96)), per_table=16)
    settings = small(f"data:{folder}", tmp_path / "run", learning=STATISTICS)
    run_stream(replace(settings, limit=40))
    read: list[str] = []
    group = table_folder.TableFile.group

    def counted(self: Any, number: int) -> TableRows:
        read.append(self.path.name)
        return group(self, number)

    monkeypatch.setattr(table_folder.TableFile, "group", counted)
    assert run_stream(settings)["accepted"] == 96
    assert read == [f"part-{i:05d}.parquet" for i in range(2, 6)]


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    started = Children(tmp_path)
    yield started
    started.close()


def saved(run: Path) -> int:
    """How many samples the newest checkpoint has."""
    ids = run / IDS
    return ids.stat().st_size // ID_BYTES if ids.exists() else 0


@pytest.mark.slow
def test_twenty_kills(children: Children, tmp_path: Path) -> None:
    """Each start is killed once it has saved some more rows, and a random moment later."""
    n = 240
    folder = write_folder(tmp_path / "features", rows_of(range(n)), per_table=30)
    reference = small(f"data:{folder}", tmp_path / "reference", learning=STATISTICS)
    run_stream(reference, feature_source=fake_feature_source())
    expected = learned_state(tmp_path / "reference")
    rng = random.Random(22)
    kills = turn = 0
    while kills < 20:
        run = tmp_path / f"run-{turn}"
        order = {
            "source": f"data:{folder}",
            "out": str(run),
            "acks": str(run) + ".acks",
            "learning": STATISTICS,
        }
        while (until := saved(run) + rng.randrange(1, 60)) < n:
            pid = children.start(dict(order))
            while saved(run) < until:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.02))
            os.kill(pid, signal.SIGKILL)
            if children.status() == 0:  # it was faster
                break
            kills += 1
        children.start(dict(order))
        assert children.status() == 0
        assert learned_state(run) == expected
        turn += 1


def test_a_stop_is_heeded_between_groups(tmp_path: Path) -> None:
    from edgetransfer.stream.table_source import TableSource

    folder = write_folder(tmp_path / "features", rows_of(range(64)), per_table=8)
    stop = Event()

    class Nothing:
        def known(self, _sample_id: str) -> bool:
            return False

        def open_for_label(self, _sample_id: str) -> bool:
            return False

    seen = []
    for arrival in TableSource(folder).arrivals(stop, Nothing()):
        seen.append(arrival.id)
        assert arrival.label == label_of(int(arrival.id[1:]))
        stop.set()
    assert seen == [f"n{i}" for i in range(8)]
