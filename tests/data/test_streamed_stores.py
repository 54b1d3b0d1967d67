"""Stores of photos as streams: Hugging Face's rows one by one, and any data set there is."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from edgetransfer import PhotoFeatures, features
from edgetransfer.data.streams import DataSetSource, HuggingFaceSource
from edgetransfer.images import SUFFIXES
from tests.data.stores_made import folder, rows_of, structures, with_rows, zipped  # noqa: F401
from tests.photos import backbone  # noqa: F401


def test_datasets_are_streamed_a_row_at_a_time(folder, tmp_path):  # noqa: F811
    """Nothing is read that is not asked for; what is known is passed over; anew, the same."""
    datasets = pytest.importorskip("datasets")
    structures(folder, tmp_path)
    source = HuggingFaceSource(f"{tmp_path}?split=train")
    looked = []
    read = datasets.iterable_dataset.IterableDataset.__iter__

    def counted(self):
        for row in read(self):
            looked.append(row)
            yield row

    ledger = SimpleNamespace(known={"train#1"}.__contains__, open_for_label=lambda _id: False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.iterable_dataset.IterableDataset, "__iter__", counted)
        arrivals = source.arrivals(threading.Event(), ledger)
        first = next(arrivals)
        assert len(looked) == 1
    found = [first, *arrivals]
    wanted = [row for row in rows_of(folder) if row["split"] == "train"]
    assert [a.id for a in found] == [f"train#{i}" for i in range(len(wanted)) if i != 1]
    assert [(a.label, a.read()) for a in found] == [
        (row["label"], row["image"]) for i, row in enumerate(wanted) if i != 1
    ]
    assert found == list(source.arrivals(threading.Event(), ledger))


def test_rows_of_a_stream_that_cannot_be_used_are_named(folder, tmp_path):  # noqa: F811
    pytest.importorskip("datasets")
    with_rows(
        tmp_path,
        lambda rows: [rows[0] | {"label": "a\nb"}, rows[1] | {"label": None}, *rows[2:]],
        "train.parquet",
    )
    ledger = SimpleNamespace(known=lambda _id: False, open_for_label=lambda _id: False)
    found = list(HuggingFaceSource(str(tmp_path)).arrivals(threading.Event(), ledger))
    assert [a.id for a in found] == [f"n{i}" for i in range(6)]
    assert "line break" in found[0].problem
    assert (found[1].label, found[1].problem) == (None, None)  # to be predicted


@pytest.mark.parametrize("kind", ["mapping", "arrow"])
def test_features_of_what_datasets_streams(kind, folder, backbone):  # noqa: F811
    """`PhotoFeatures` in `IterableDataset.map`, as the docs have it."""
    datasets = pytest.importorskip("datasets")
    extract = PhotoFeatures(str(backbone), engine="onnxruntime")
    rows = datasets.load_dataset(str(folder), split="train", streaming=True)
    rows = rows.cast_column("image", datasets.Image(decode=False))
    if kind == "arrow":
        rows = rows.with_format("arrow")
    found = list(rows.map(extract, batched=True, batch_size=3))
    paths = [row["path"] for row in rows_of(folder) if row["split"] == "train"]
    wanted = features(str(backbone), paths, engine="onnxruntime")
    got = [row["feature"][0].as_py() if kind == "arrow" else row["feature"] for row in found]
    assert np.array_equal(np.array(got, np.float32), wanted)


def test_a_stream_of_any_of_them(folder, tmp_path):  # noqa: F811
    source = DataSetSource(zipped(folder, tmp_path), suffixes=SUFFIXES)
    known = {"train/red/000.png"}
    ledger = SimpleNamespace(known=known.__contains__, open_for_label=lambda _id: False)
    found = list(source.arrivals(threading.Event(), ledger))
    assert [arrival.id for arrival in found] == [
        row["id"] for row in rows_of(folder) if row["split"] == "train" and row["id"] not in known
    ]
    assert all(arrival.read() == (folder / arrival.id).read_bytes() for arrival in found)
    assert found == list(source.arrivals(threading.Event(), ledger))
