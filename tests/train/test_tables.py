"""Heads from tables: those of the photos themselves, however they are parted; nothing silent."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer import Extraction, LinearTraining, evaluate, export, predict, train_linear
from edgetransfer.cli.main import main
from edgetransfer.errors import DataError, EdgeTransferError, UsageError
from edgetransfer.extract import extract
from edgetransfer.features import tables
from edgetransfer.features.part_statistics import (
    computed,
    save_statistics,
    statistics_beside,
    statistics_of,
)
from edgetransfer.features.tables import Origin, TableFile, TableRows, write_table
from edgetransfer.heads import Statistics
from edgetransfer.types import Preprocessing
from tests.photos import backbone, photos, write_photos  # noqa: F401

CLASSES = ("a", "b", "c")
ORIGIN = Origin(
    backbone="net.onnx",
    identity="0" * 64 + ":y",
    preprocessing=Preprocessing(size=32, resize=32),
    tensor="y",
    engine="sparse",
    engine_version="1",
    dimension=5,
    dtype="float32",
)


@pytest.fixture(scope="module")
def made(backbone, tmp_path_factory):  # noqa: F811
    """Photos and their tables, made once: tests copy what they damage."""
    folder = tmp_path_factory.mktemp("made")
    write_photos(folder / "photos" / "train", 20, seed=0)
    write_photos(folder / "photos" / "test", 5, seed=1)
    extract(
        Extraction(
            data=folder / "photos",
            out=folder / "features",
            backbone=str(backbone),
            rows=20,
            engine="onnxruntime",
        )
    )
    return folder


@pytest.fixture
def settings(made, tmp_path):
    shutil.copytree(made / "features", tmp_path / "features")
    return LinearTraining(data=tmp_path / "features", out=tmp_path / "run")


def test_it_is_a_run_like_any_other(settings, made, tmp_path, capsys):
    report = train_linear(settings)
    assert report["n_train"] == 60
    assert report["final"]["top1"] >= 0.9
    assert report["honest"]["n"] == 60
    photo = made / "photos" / "test" / "red" / "000.png"
    assert predict(settings.out, photo).classes[0] == "red"
    assert evaluate(settings.out, made / "photos" / "test").top1 == report["final"]["top1"]
    export(settings.out, tmp_path / "model.onnx")
    assert train_linear(settings, resume=True)["final"] == report["final"]
    assert main(["train", "-d", str(settings.data), "-o", str(tmp_path / "again")]) == 0
    assert "lda" in capsys.readouterr().out


def test_however_photos_are_parted_the_head_is_the_same(settings, made, tmp_path, backbone):  # noqa: F811
    train_linear(settings)
    head = (settings.out / "head.safetensors").read_bytes()
    for rows in (1, 7, 100):
        out = tmp_path / f"features-{rows}"
        extract(
            Extraction(
                data=made / "photos",
                out=out,
                backbone=str(backbone),
                rows=rows,
                engine="onnxruntime",
            )
        )
        other = replace(settings, data=out, out=tmp_path / f"run-{rows}")
        train_linear(other)
        assert (other.out / "head.safetensors").read_bytes() == head


@pytest.mark.parametrize("damage", ["missing", "flipped", "cut", "of fewer rows"])
def test_statistics_are_made_anew_where_they_are_not_whole(settings, damage):
    train_linear(replace(settings, out=settings.out.with_name("whole")))
    path = settings.data / "part-00000.statistics.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[:-1])
    else:
        table = TableFile(settings.data / "part-00000.parquet")
        save_statistics(
            path, Statistics(table.origin.dimension, 3), ("blue", "green", "red"), table.origin
        )
    train_linear(settings)
    name = "head.safetensors"
    whole = settings.out.with_name("whole") / name
    assert (settings.out / name).read_bytes() == whole.read_bytes()


def _rewritten(path, change):
    table = pq.read_table(path)
    changed = change(table)
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)


def _renamed(folder):
    _rewritten(
        folder / "part-00001.parquet",
        lambda t: t.rename_columns(["id", "label", "split", "vector", "problem"]),
    )


def _another_type(folder):
    import pyarrow as pa

    _rewritten(
        folder / "part-00001.parquet",
        lambda t: t.set_column(1, "label", pa.array(range(t.num_rows))),
    )


def _halves(folder):
    import pyarrow as pa

    kind = pa.list_(pa.float16())
    _rewritten(
        folder / "part-00001.parquet", lambda t: t.set_column(3, "feature", t["feature"].cast(kind))
    )


def _without_origin(folder):
    path = folder / "part-00001.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)


def _of_another_backbone(folder):
    path = folder / "part-00001.parquet"
    table = pq.read_table(path)
    said = json.loads(table.schema.metadata[b"edgetransfer"])
    said["identity"] = "another"
    pq.write_table(table.replace_schema_metadata({b"edgetransfer": json.dumps(said)}), path)


DAMAGES = {
    "a table missing": (lambda f: (f / "part-00001.parquet").unlink(), "1 of 4 tables are missing"),
    "half a table": (
        lambda f: (f / "part-00001.parquet").write_bytes(
            (f / "part-00001.parquet").read_bytes()[:500]
        ),
        "part-00001.parquet: not a whole",
    ),
    "no index": (lambda f: (f / "extract.json").write_text("{}"), "extract.json: damaged"),
    "a photo twice": (
        lambda f: shutil.copy(f / "part-00000.parquet", f / "part-00001.parquet"),
        "is in part-00000.parquet and in part-00001.parquet",
    ),
    "a column renamed": (_renamed, "no column 'feature'"),
    "a column of another type": (_another_type, "'label' is of int64"),
    "features of another type": (_halves, "'feature' is of list<.*halffloat"),
    "no origin": (_without_origin, "not a table of features"),
    "another backbone's": (_of_another_backbone, "the backbone is another"),
    "rows missing": (
        lambda f: _rewritten(f / "part-00001.parquet", lambda t: t.slice(0, 5)),
        "60 rows where 75",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_tables_that_cannot_be_used(settings, damage):
    change, said = DAMAGES[damage]
    change(settings.data)
    with pytest.raises(DataError, match=said):
        train_linear(settings)
    assert not settings.out.exists()


def test_a_large_row_group_is_refused_before_it_is_read(settings, monkeypatch):
    monkeypatch.setattr(tables, "LARGEST_GROUP", 1000)
    with pytest.raises(DataError, match=r"part-00000.parquet: its row group 0 has .* smaller row"):
        train_linear(settings)
    assert not settings.out.exists()


@pytest.mark.slow
def test_a_row_group_of_a_gigabyte_takes_no_memory(settings):
    """Zeros, so that the file is small."""
    import pyarrow as pa

    path = settings.data / "part-00001.parquet"
    n, wide = 2**16, 2**12
    ends = pa.array(np.arange(n + 1, dtype=np.int32) * wide)
    table = pa.table(
        {
            "id": [f"{i}" for i in range(n)],
            "label": ["red"] * n,
            "split": ["train"] * n,
            "feature": pa.ListArray.from_arrays(ends, pa.array(np.zeros(n * wide, np.float32))),
            "problem": pa.array([None] * n, pa.string()),
        }
    ).replace_schema_metadata(pq.read_schema(path).metadata)
    pq.write_table(table, path, use_dictionary=False, compression="zstd", row_group_size=n)
    assert pq.ParquetFile(path).metadata.row_group(0).total_byte_size >= 2**30
    del table
    program = (
        "import sys, resource, pyarrow.parquet; from pathlib import Path; "
        "from edgetransfer.errors import DataError; "
        "from edgetransfer.features.table_folder import open_tables; "
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = peak()\n"
        "try: open_tables(Path(sys.argv[1]))\n"
        "except DataError as error: print(error)\n"
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(settings.data)],
        capture_output=True,
        text=True,
        check=True,
    )
    said, grown = done.stdout.splitlines()
    assert "part-00001.parquet: its row group 0 has 1,0" in said
    assert int(grown) < 100 * 1024  # KiB


@pytest.mark.parametrize(
    "changed",
    [
        {"mode": "online"},
        {"solver": "lbfgs"},
        {"solver": "ridge"},
        {"class_weights": "balanced"},
        {"feature_map": "raw"},
        {"penalty": 0.1},
        {"standardize": True},
        {"val_fraction": 0.2},
        {"test_data": "elsewhere"},
    ],
)
def test_what_tables_do_not_allow_is_refused(settings, changed):
    with pytest.raises(UsageError, match="--"):
        train_linear(replace(settings, **{"solver": None, **changed}))
    assert not settings.out.exists()


def test_another_backbone_than_the_tables(settings):
    with pytest.raises(DataError, match="is another"):
        train_linear(replace(settings, backbone="tinyresnet-90"))


def test_other_commands_say_that_these_are_no_photos(settings, capsys):
    pytest.importorskip("torch")
    assert main(["finetune", "--data", str(settings.data), "--out", str(settings.out)]) == 3
    assert "tables of features" in capsys.readouterr().err


@given(
    data=st.data(),
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 25),
)
def test_statistics_of_tables_are_those_of_their_rows(tmp_path_factory, data, seed, n):
    """Of any rows, any parts of them, and any classes that a part was made with."""
    rng = np.random.default_rng(seed)
    scale = 2.0 ** rng.integers(-20, 20, n)
    rows = (rng.normal(size=(n, 5)) * scale[:, None]).astype(np.float32)
    labels = rng.integers(0, 4, n)
    splits = rng.choice(["train", "val", "test"], n, p=[0.7, 0.15, 0.15])
    problems = {int(i): "broken" for i in np.flatnonzero(rng.random(n) < 0.1)}
    names = (*CLASSES, "")
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=3)))
    folder = tmp_path_factory.mktemp("tables")
    total, whole = Statistics(5, 3), Statistics(5, 3)
    bounds = list(zip([0, *cuts], [*cuts, n], strict=True))
    for number, (first, last) in enumerate(bounds):
        part = TableRows(
            ids=[f"photo {i}" for i in range(first, last)],
            labels=[names[label] for label in labels[first:last]],
            splits=splits[first:last].tolist(),
            features=rows[first:last],
            problems={i - first: why for i, why in problems.items() if first <= i < last},
        )
        path = folder / f"{number}.parquet"
        write_table(path, part, ORIGIN)
        table = TableFile(path)
        read = list(table.rows())
        assert [name for group in read for name in group.ids] == part.ids
        order = tuple(data.draw(st.permutations(CLASSES)))
        save_statistics(statistics_beside(path), computed(table, order), order, ORIGIN)
        total.merge(statistics_of(table, CLASSES))
        whole.merge(computed(table, CLASSES))
    learned = [
        i for i in range(n) if names[labels[i]] and splits[i] == "train" and i not in problems
    ]
    assert total.n == len(learned)
    for name, array in whole.arrays().items():
        assert np.array_equal(array, total.arrays()[name])


def test_too_many_rows_with_a_problem(settings):
    path = settings.data / "part-00000.parquet"
    rows = next(iter(TableFile(path).rows()))
    broken = replace(rows, problems=dict.fromkeys(range(10), "broken"))
    write_table(path, broken, TableFile(path).origin)
    with pytest.raises(EdgeTransferError, match="10 of 75 photos have no features"):
        train_linear(settings)
    report = train_linear(replace(settings, max_bad=0.2))
    assert report["skipped"] == 10
    assert report["n_train"] == 50
