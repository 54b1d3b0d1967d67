"""`PhotoFeatures` as Ray, Spark and Dask call it, as docs/extract.md has it: the same rows."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edgetransfer import PhotoFeatures
from tests.photos import backbone, photos  # noqa: F401

pytestmark = pytest.mark.slow
MISSING = "no-such-file.png"
ENGINE = "onnxruntime"


@pytest.fixture
def paths(photos):  # noqa: F811
    return [MISSING, *(str(path) for path in sorted(photos.glob("test/*/*.png")))]


@pytest.fixture
def wanted(backbone, paths):  # noqa: F811
    rows = PhotoFeatures(backbone, engine=ENGINE)({"image": paths})
    return dict(zip(paths, rows["feature"], strict=True))


def check(found, wanted):
    """Of each photo the very bits; of the one that is missing a problem."""
    assert sorted(row["image"] for row in found) == sorted(wanted)
    for row in found:
        if row["image"] == MISSING:
            assert row["problem"]
            assert row["feature"] is None or np.isnan(row["feature"]).all()
        else:
            assert not isinstance(row["problem"], str)
            assert np.array_equal(np.float32(row["feature"]), wanted[row["image"]])


def test_ray(backbone, paths, wanted):  # noqa: F811
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    ray.init(num_cpus=2, include_dashboard=False, ignore_reinit_error=True)
    try:
        rows = ray.data.from_items([{"image": path} for path in paths]).map_batches(
            PhotoFeatures,
            fn_constructor_args=[str(backbone)],
            fn_constructor_kwargs={"engine": ENGINE},
            batch_size=4,
            concurrency=2,
            num_cpus=1,
        )
        check(rows.take_all(), wanted)
    finally:
        ray.shutdown()


@pytest.fixture
def spark(monkeypatch):
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    sql = pytest.importorskip("pyspark.sql")
    session = sql.SparkSession.builder.master("local[2]").getOrCreate()
    yield session
    session.stop()


def test_spark(spark, backbone, paths, wanted):  # noqa: F811
    frame = spark.createDataFrame([(path,) for path in paths], "image string").repartition(3)
    extract = PhotoFeatures(backbone, engine=ENGINE)
    schema = "image string, feature array<float>, problem string"
    rows = frame.mapInArrow(extract.over_arrow, schema)
    check([row.asDict() for row in rows.collect()], wanted)


def test_spark_by_batches(spark, backbone, paths, wanted):  # noqa: F811
    functions = pytest.importorskip("pyspark.ml.functions")
    types = pytest.importorskip("pyspark.sql.types")
    extract = PhotoFeatures(backbone, engine=ENGINE)
    features = functions.predict_batch_udf(
        lambda: lambda images: extract({"image": images})["feature"],
        return_type=types.ArrayType(types.FloatType()),
        batch_size=4,
    )
    frame = spark.createDataFrame([(path,) for path in paths], "image string").repartition(3)
    found = [row.asDict() for row in frame.withColumn("feature", features("image")).collect()]
    check([{**row, "problem": MISSING if row["image"] == MISSING else None} for row in found],
          wanted)  # fmt: skip


def test_dask(backbone, paths, wanted):  # noqa: F811
    frames = pytest.importorskip("dask.dataframe")
    import pandas as pd

    frame = frames.from_pandas(pd.DataFrame({"image": paths}), npartitions=3)
    rows = frame.map_partitions(PhotoFeatures(backbone, engine=ENGINE)).compute()
    check(rows.to_dict("records"), wanted)
