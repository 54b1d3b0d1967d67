"""Tables of features: the same bytes however they are made, whole or not there."""

from __future__ import annotations

import csv
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from edgetransfer import Extraction, features
from edgetransfer.cli.main import main
from edgetransfer.engines.sparse.library import instruction_set
from edgetransfer.errors import DataError, EngineError, TakenError, UsageError
from edgetransfer.extract import extract
from edgetransfer.features.table_folder import open_tables
from edgetransfer.features.tables import TableFile
from edgetransfer.features.worker import FeatureWorker
from edgetransfer.native.compiling import why_absent
from edgetransfer.settings.extract import INDEX
from tests.photos import backbone, photos  # noqa: F401

pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def settings(photos, backbone, tmp_path):  # noqa: F811
    return Extraction(
        data=photos,
        out=tmp_path / "features",
        backbone=str(backbone),
        rows=20,
        max_bad=0.5,
        engine="onnxruntime",
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_row_a_photo_with_the_features_that_it_has(settings, backbone):  # noqa: F811
    report = extract(settings)
    tables = open_tables(settings.out)
    rows = [rows for file in tables.files for rows in file.rows()]
    ids = [name for part in rows for name in part.ids]
    assert report["photos"] == len(ids) == 75
    assert report["tables"] == len(tables.files) == 4
    found = np.concatenate([part.features for part in rows])
    wanted = features(str(backbone), [settings.data / name for name in ids], engine="onnxruntime")
    assert np.array_equal(found, wanted)
    assert {s for part in rows for s in part.splits} == {"train", "test"}
    assert all(
        name.split("/")[1] == label
        for part in rows
        for name, label in zip(part.ids, part.labels, strict=True)
    )


def test_halves_are_kept_as_halves(settings, tmp_path):
    extract(settings)
    half = replace(settings, out=tmp_path / "half", dtype="float16")
    extract(half)
    one, other = (
        next(iter(TableFile(f.out / "part-00000.parquet").rows())) for f in (settings, half)
    )
    assert np.array_equal(other.features, one.features.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_lines_say_what_tables_say(settings, dtype):
    """Also of tables that were there; only the lines that are missing are made."""
    (settings.data / "train" / "red" / "000.png").write_bytes(b"no photo")
    settings = replace(settings, dtype=dtype)
    extract(settings)
    tables = contents(settings.out)
    report = extract(replace(settings, jsonl=True))
    assert report["tables_made"] == 0
    assert {name: tables[name] for name in tables} == {
        name: data for name, data in contents(settings.out).items() if name in tables
    }
    for table in settings.out.glob("*.parquet"):
        rows = pq.read_table(table).to_pylist()
        lines = [json.loads(line) for line in table.with_suffix(".jsonl").read_text().splitlines()]
        assert lines == rows
    (settings.out / "part-00001.jsonl").unlink()
    (settings.out / "part-00002.parquet").unlink()
    before = contents(settings.out)
    assert extract(replace(settings, jsonl=True))["tables_made"] == 1
    after = contents(settings.out)
    assert before.items() <= after.items()
    assert after.items() >= tables.items()
    assert set(after) - set(before) == {"part-00001.jsonl", "part-00002.parquet"}


def test_job_arrays_make_the_same_bytes(settings, tmp_path):
    extract(settings)
    shared = replace(settings, out=tmp_path / "shared")
    for part in (3, 1, 2):
        extract(replace(shared, partition=(part, 3)))
    assert contents(shared.out) == contents(settings.out)


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "others"])
def test_only_what_is_not_there_is_made(settings, damage):
    extract(settings)
    before = contents(settings.out)
    path, whole = settings.out / "part-00001.parquet", settings.out / "part-00002.parquet"
    stamp = whole.stat().st_mtime_ns
    if damage == "missing":
        path.unlink()
    elif damage == "others":
        path.write_bytes(whole.read_bytes())
    else:
        path.write_bytes(b"" if damage == "empty" else path.read_bytes()[:-9])
    assert extract(settings)["tables_made"] == 1
    assert contents(settings.out) == before
    assert whole.stat().st_mtime_ns == stamp


def test_broken_photos_are_rows_with_a_problem(settings):
    (settings.data / "train" / "red" / "000.png").write_bytes(b"no photo")
    report = extract(settings)
    assert [row["id"] for row in report["problems"]] == ["train/red/000.png"]
    rows = next(iter(TableFile(settings.out / "part-00002.parquet").rows()))
    assert sum(map(len, (file for file in open_tables(settings.out).files))) == 75
    assert np.isfinite(rows.features).all() == (not rows.problems)
    with pytest.raises(DataError, match=r"1 of 75 images cannot be used.*train/red/000.png"):
        extract(replace(settings, max_bad=0.0))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rows": 21}, "--rows"),
        ({"dtype": "float16"}, "dtype"),
        ({"size": 24, "resize": 24}, "preprocessing"),
    ],
)
def test_a_folder_of_other_features_is_not_touched(settings, changed, said):
    extract(settings)
    before = contents(settings.out)
    with pytest.raises(TakenError, match=said):
        extract(replace(settings, **changed))
    assert contents(settings.out) == before
    extract(replace(settings, **changed), overwrite=True)
    assert open_tables(settings.out)


def test_a_folder_of_something_else_is_not_touched(settings):
    settings.out.mkdir()
    (settings.out / "thesis.tex").write_text("all of it")
    with pytest.raises(TakenError, match="something else"):
        extract(settings)
    with pytest.raises(UsageError, match="empty the folder"):
        extract(replace(settings, partition=(1, 2)), overwrite=True)
    assert [path.name for path in settings.out.iterdir()] == ["thesis.tex"]


def test_what_a_killed_start_left_is_nothing_else(settings):
    settings.out.mkdir()
    (settings.out / f".{INDEX}.00000000.tmp").write_bytes(b"half of it")
    extract(settings)
    assert not list(settings.out.glob(".*.tmp"))
    assert open_tables(settings.out)


def test_photos_that_came_since(settings):
    extract(settings)
    source = settings.data / "train" / "red" / "000.png"
    (source.parent / "new.png").write_bytes(source.read_bytes())
    with pytest.raises(TakenError, match="photos"):
        extract(settings)


@pytest.mark.parametrize("share", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"])
def test_shares_that_are_none(settings, share, capsys):
    code = main(
        ["extract", "-d", str(settings.data), "-o", str(settings.out), "--partition", share]
    )
    assert code == 2
    assert "--partition" in capsys.readouterr().err
    assert not settings.out.exists()


def test_killed_it_goes_on_to_the_same_bytes(settings, tmp_path):
    extract(settings)
    other = replace(settings, out=tmp_path / "killed", rows=20)
    command = [
        *(sys.executable, "-m", "edgetransfer", "extract", "--data", str(other.data)),
        *("--out", str(other.out), "--backbone", str(other.backbone), "--rows", "20"),
        *("--engine", "onnxruntime"),
    ]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)
    limit = time.monotonic() + 60
    while not list(other.out.glob("*.parquet")) and time.monotonic() < limit:
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.wait()
    extract(replace(other, max_bad=0.5))
    made = {name: data for name, data in contents(other.out).items() if not name.startswith(".")}
    assert made == contents(settings.out)


@pytest.mark.parametrize("isa", ["avx2-rows", "portable"])
def test_members_of_a_job_array_on_other_processors(settings, tmp_path, isa):
    """With the sparse engine they make the same bytes, or one that cannot says why.

    Without AVX2 there are no fused multiply-adds, so that the last bits differ.
    """
    if why_absent() is not None:
        pytest.skip(str(why_absent()))
    if "avx" not in instruction_set():
        pytest.skip("this processor has no AVX2")
    whole = replace(settings, engine="sparse")
    extract(whole)
    shared = replace(whole, out=tmp_path / "shared")
    extract(replace(shared, partition=(1, 2)))
    command = [
        *(sys.executable, "-m", "edgetransfer", "extract", "--data", str(shared.data)),
        *("--out", str(shared.out), "--backbone", str(shared.backbone), "--rows", "20"),
        *("--engine", "sparse", "--partition", "2/2"),
    ]
    env = {**os.environ, "EDGETRANSFER_ISA": isa}
    done = subprocess.run(command, check=False, env=env, capture_output=True, text=True)
    if isa == "portable":
        assert done.returncode == 2
        assert "the engine version is another" in done.stderr
        assert "portable" in done.stderr
    else:
        assert done.returncode == 0
        assert contents(shared.out) == contents(whole.out)


def test_a_worker_without_the_instructions_says_so(settings, tmp_path, monkeypatch):
    """An engine that adds otherwise there: no tables of two kinds, of one call or of two."""
    worker = FeatureWorker(str(settings.backbone), engine="onnxruntime")
    sent = pickle.dumps(worker)
    extract(replace(settings, partition=(1, 2)))
    monkeypatch.setattr("edgetransfer.engines.processor.cpu_flags", lambda: ["sse2"])
    with pytest.raises(EngineError, match=r"not be the same bits.*--engine sparse"):
        pickle.loads(sent).extract([])
    with pytest.raises(TakenError, match="the engine version is another"):
        extract(replace(settings, partition=(2, 2)))


def test_a_worker_of_another_release_says_so(settings, monkeypatch):
    """Whichever scheduler brought the work to it: what is sent says of which release it is."""
    sent = pickle.dumps(FeatureWorker(str(settings.backbone), engine="onnxruntime"))
    pickle.loads(sent).extract([])
    monkeypatch.setattr("edgetransfer.features.worker.__version__", "99.0")
    with pytest.raises(EngineError, match=r"here is edgetransfer 99\.0, and .* the same release"):
        pickle.loads(sent).extract([])


def test_a_manifest_and_names_that_are_not_text(settings, tmp_path):
    odd = settings.data / "train" / "red" / os.fsdecode(b"caf\xe9.png")
    odd.write_bytes((settings.data / "train" / "red" / "000.png").read_bytes())
    found = extract(settings)
    ids = [name for file in open_tables(settings.out).files for name in file.columns("id")["id"]]
    assert found["photos"] == len(set(ids)) == 76
    manifest = tmp_path / "photos.csv"
    with manifest.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split"])
        for path in sorted(settings.data.glob("*/*/[0-9]*.png")):
            split, label, _ = path.relative_to(settings.data).parts
            rows.writerow([str(path), label, split])
    listed = extract(replace(settings, data=manifest, out=tmp_path / "listed"))
    assert listed["photos"] == 75


def test_a_program_that_has_started_ray_itself(settings, monkeypatch):
    """It is Ray's driver, which Ray grants nothing; asked, Ray answers with an AssertionError."""

    def refuse():
        raise AssertionError("only available when the process is a worker")

    context = SimpleNamespace(get_assigned_resources=refuse)
    ray = SimpleNamespace(is_initialized=lambda: True, get_runtime_context=lambda: context)
    monkeypatch.setitem(sys.modules, "ray", ray)
    assert extract(settings)["tables_made"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("on", ["ray", "spark", "dask"])
def test_schedulers_make_the_same_bytes(settings, tmp_path, on):
    pytest.importorskip({"ray": "ray", "spark": "pyspark", "dask": "distributed"}[on])
    extract(settings)
    given_out = replace(settings, out=tmp_path / on, on=on, threads=1)
    extract(given_out)
    assert contents(given_out.out) == contents(settings.out)
