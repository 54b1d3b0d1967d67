"""Batches of columns: every kind of batch with every kind of photo gives the same features."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from edgetransfer import PhotoFeatures
from edgetransfer.errors import BackboneError, DataError
from tests.photos import backbone, photos  # noqa: F401

MISSING = "no-such-file.png"


@pytest.fixture
def files(photos):  # noqa: F811
    return [str(path) for path in sorted(photos.glob("test/*/*.png"))]


@pytest.fixture
def extract(backbone):  # noqa: F811
    return PhotoFeatures(backbone, engine="onnxruntime")


def _read(path):
    with open(path, "rb") as file:
        return file.read()


PHOTOS = {
    "paths": lambda files: files,
    "bytes": lambda files: [_read(path) for path in files],
    "structures": lambda files: [{"bytes": _read(path), "path": None} for path in files],
    "structures of paths": lambda files: [{"bytes": None, "path": path} for path in files],
}
BATCHES = {
    "mapping": lambda column: {"image": column, "n": np.arange(len(column))},
    "array": lambda column: {"image": np.array(column, object)},
    "frame": lambda column: pytest.importorskip("pandas").DataFrame({"image": column}),
    "table": lambda column: pa.table({"image": column}),
    "record batch": lambda column: pa.RecordBatch.from_pydict({"image": column}),
}


def _features(batch):
    if isinstance(batch, dict):
        return batch["feature"], list(batch["problem"])
    if hasattr(batch, "iloc"):
        feature, problem = batch["feature"].tolist(), batch["problem"].tolist()
    else:
        feature, problem = (batch.column(n).to_pylist() for n in ("feature", "problem"))
    rows = [np.full(8, np.nan) if row is None else row for row in feature]
    return np.array(rows, np.float32), [
        reason if isinstance(reason, str) else None for reason in problem
    ]


@pytest.mark.parametrize("photos_as", PHOTOS)
@pytest.mark.parametrize("batch_as", BATCHES)
def test_every_batch_of_every_kind(extract, files, photos_as, batch_as):
    wanted = extract({"image": files})["feature"]
    given = BATCHES[batch_as](PHOTOS[photos_as](files))
    features, problems = _features(extract(given))
    assert np.array_equal(features, wanted)
    assert problems == [None] * len(files)


@pytest.mark.parametrize("batch_as", BATCHES)
def test_what_cannot_be_used_is_a_problem_of_its_row(extract, files, batch_as):
    column = [files[0], MISSING, files[1], None]
    features, problems = _features(extract(BATCHES[batch_as](column)))
    assert np.isnan(features[[1, 3]]).all()
    assert np.isfinite(features[[0, 2]]).all()
    assert problems[0] is None
    assert problems[2] is None
    assert "No such file" in problems[1]
    assert "empty" in problems[3]


def test_arrays_are_photos(extract, files):
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in files])
    assert np.array_equal(
        extract({"image": pixels})["feature"], extract({"image": files})["feature"]
    )


def test_an_empty_cell_of_a_frame_is_a_problem(extract, files):
    """None, nan, and the NA that frames have for text (and by which Dask asks for the types)."""
    pd = pytest.importorskip("pandas")
    for empty in (None, float("nan"), pd.NA):
        for dtype in (object, "string"):
            frame = extract(pd.DataFrame({"image": pd.Series([files[0], empty], dtype=dtype)}))
            assert len(frame["feature"][0]) == 8
            assert frame["feature"][1] is None
            assert isinstance(frame["problem"][1], str)


@pytest.mark.parametrize("size", [1, 2, 7, 15])
def test_a_row_has_the_same_features_in_every_batch(extract, files, size):
    whole = extract({"image": files})["feature"]
    parts = [
        extract({"image": files[first : first + size]})["feature"]
        for first in range(0, len(files), size)
    ]
    assert np.array_equal(np.concatenate(parts), whole)


def test_pickled_it_gives_the_same(extract, files):
    again = pickle.loads(pickle.dumps(extract))
    assert len(pickle.dumps(extract)) < 10_000
    assert again.dimension == 8
    assert np.array_equal(again({"image": files})["feature"], extract({"image": files})["feature"])


def test_another_file_where_it_is_unpickled(extract, backbone, tmp_path, files):  # noqa: F811
    moved = tmp_path / "moved.onnx"
    moved.write_bytes(backbone.read_bytes())
    packed = pickle.dumps(PhotoFeatures(moved, engine="onnxruntime"))
    import onnx

    model = onnx.load(str(moved))
    model.graph.initializer[0].raw_data = b"\1" * len(model.graph.initializer[0].raw_data)
    onnx.save(model, str(moved))
    with pytest.raises(BackboneError, match="another file"):
        pickle.loads(packed)({"image": files})


def test_over_arrow_batch_by_batch(extract, files):
    batches = [pa.RecordBatch.from_pydict({"image": files[:4]})] * 2
    assert [batch.num_rows for batch in extract.over_arrow(iter(batches))] == [4, 4]


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({"photo": []}, "no column 'image'"),
        ([], "a batch of columns"),
        ({"image": [3]}, "no photo"),
    ],
)
def test_what_is_no_batch(extract, batch, said):
    with pytest.raises(DataError, match=said):
        extract(batch)


def test_an_empty_batch(extract):
    found = extract({"image": []})
    assert found["feature"].shape == (0, 8)
    assert len(found["problem"]) == 0
