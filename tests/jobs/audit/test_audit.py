"""What was made doubtful is found, listed, marked and sorted; nothing else is touched."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from edgetransfer import LinearTraining, extract_features, train_linear
from edgetransfer.cli.main import main
from edgetransfer.errors import DataError, EdgeTransferError, TakenError, UsageError
from edgetransfer.jobs.audit import AuditSettings, audit


@pytest.fixture
def settings(doubtful, backbone, tmp_path):
    return AuditSettings(
        source=doubtful.folder,
        backbone=str(backbone),
        engine="onnxruntime",
        cache_dir=tmp_path / "cache",
    )


def pairs_of(result):
    return {tuple(row["ids"]) for row in result["duplicates"]}


def test_what_is_doubtful_is_found(doubtful, settings):
    result = audit(settings)
    wrong = {row["id"] for row in result["wrong_labels"]}
    assert len(wrong & doubtful.flipped) >= 5
    assert len(wrong - doubtful.flipped) <= 2
    assert pairs_of(result) == doubtful.copies
    mirrored = {tuple(row["ids"]) for row in result["duplicates"] if row["mirrored"]}
    assert mirrored == {("train/red/red10.png", "train/red/z10.jpg")}
    assert [row["splits"] for row in result["duplicates"] if "test" in row["splits"]] == [
        ["train", "test"]
    ]
    for row in result["wrong_labels"]:
        if row["id"] in doubtful.flipped:
            assert row["suggested"] in row["id"].split("/")[-1]
    assert result["photos"] == {"train": 93, "test": 19}
    json.dumps(result)


def test_a_run_is_audited_with_its_own_backbone(doubtful, settings, tmp_path):
    train_linear(
        LinearTraining(
            backbone=str(settings.backbone),
            data=doubtful.folder,
            out=tmp_path / "run",
            solver="sgd",
            epochs=2,
            engine="onnxruntime",
            cache_dir=settings.cache_dir,
            report=False,
        )
    )
    before = {p: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    own = replace(settings, source=tmp_path / "run", backbone=None)
    result = audit(own)
    of_the_data = audit(settings)
    assert pairs_of(result) == doubtful.copies

    def trained(found):
        return [row for row in found["wrong_labels"] if row["split"] == "train"]

    assert trained(result) == trained(of_the_data)
    assert result["outliers"] == of_the_data["outliers"]
    assert {p: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


def test_of_tables_what_is_found_in_the_photos(doubtful, settings, tmp_path):
    """The same, but for copies, which only photos show; of a run that learned from them, too."""
    pytest.importorskip("pyarrow")
    (doubtful.folder / "train" / "red" / "none.png").write_bytes(b"no photo")
    tables = tmp_path / "tables"
    extract_features(
        data=doubtful.folder,
        out=tables,
        backbone=str(settings.backbone),
        rows=20,
        engine="onnxruntime",
    )
    photos, found = audit(settings), audit(replace(settings, source=tables, backbone=None))
    for name in ("wrong_labels", "outliers", "photos", "classes", "skipped", "engine"):
        assert found[name] == photos[name]
    assert found["duplicates"] == []
    train_linear(LinearTraining(data=tables, out=tmp_path / "run"))
    of_run = audit(replace(settings, source=tmp_path / "run", backbone=None))
    assert [row for row in of_run["wrong_labels"] if row["split"] == "train"] == [
        row for row in found["wrong_labels"] if row["split"] == "train"
    ]
    manifest = tmp_path / "found.csv"
    audit(replace(settings, source=tables, manifest=manifest))
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all((doubtful.folder / row["path"]).exists() for row in rows)
    assert {row["path"] for row in rows if row["doubtful"]} == {
        row["id"] for row in found["wrong_labels"]
    }
    with pytest.raises(UsageError, match=r"--sort-into: .* the photos are not there"):
        audit(replace(settings, source=tables, sort_into=tmp_path / "sorted"))


def test_the_manifest_is_the_data_set(doubtful, settings, backbone, tmp_path):
    path = tmp_path / "elsewhere" / "looked at.csv"
    path.parent.mkdir()
    result = audit(replace(settings, manifest=path))
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 112
    marked = {row["path"] for row in rows if row["doubtful"]}
    wanted = {f"../photos/{row['id']}" for row in result["wrong_labels"]}
    assert marked == wanted
    copies = {(row["copy_of"], row["path"]) for row in rows if row["copy_of"]}
    assert copies == {(f"../photos/{a}", f"../photos/{b}") for a, b in doubtful.copies}
    report = train_linear(
        backbone=str(backbone),
        data=path,
        out=tmp_path / "run",
        engine="onnxruntime",
        cache_dir=settings.cache_dir,
        report=False,
    )
    assert report["n_train"], report["n_test"] == (93, 19)


def test_the_doubtful_are_copied_into_folders(doubtful, settings, tmp_path):
    before = sorted(doubtful.folder.rglob("*"))
    folder = tmp_path / "doubtful"
    result = audit(replace(settings, sort_into=folder))
    assert sorted(doubtful.folder.rglob("*")) == before
    there = [p for p in folder.rglob("*") if p.is_file()]
    assert len(there) == result["sorted"]
    for row in result["wrong_labels"]:
        copied = folder / "wrong-labels" / row["suggested"] / row["id"].split("/")[-1]
        assert copied.read_bytes() == (doubtful.folder / row["id"]).read_bytes()
    groups = {frozenset(p.name for p in group.iterdir()) for group in (folder / "copies").iterdir()}
    assert groups == {frozenset(name.split("/")[-1] for name in pair) for pair in doubtful.copies}
    again = audit(replace(settings, sort_into=folder))
    assert sorted(p for p in folder.rglob("*") if p.is_file()) == sorted(there)
    assert again["sorted"] == result["sorted"]


def test_one_photo_a_class_is_no_error(settings, doubtful):
    for folder in (doubtful.folder / "train").iterdir():
        for photo in sorted(folder.iterdir())[1:]:
            photo.unlink()
    result = audit(settings)
    assert result["photos"]["train"] == 3
    assert not [row for row in result["wrong_labels"] if row["split"] == "train"]
    shutil.rmtree(doubtful.folder / "test")
    assert not audit(settings)["wrong_labels"]


def test_what_cannot_be_audited_says_why(settings, tmp_path):
    with pytest.raises(DataError):
        audit(replace(settings, source=tmp_path / "nothing"))
    with pytest.raises(UsageError, match=r"\.csv"):
        replace(settings, manifest=tmp_path / "list.txt")
    with pytest.raises(EdgeTransferError, match="cannot be written"):
        audit(replace(settings, manifest=tmp_path / "no" / "such" / "list.csv"))
    (tmp_path / "file").write_text("")
    with pytest.raises(TakenError):
        audit(replace(settings, sort_into=tmp_path / "file"))
    stream = tmp_path / "stream"
    stream.mkdir()
    (stream / "config.toml").write_text("[stream]\n")
    with pytest.raises(UsageError, match="keeps no photos"):
        audit(replace(settings, source=stream))
    (stream / "config.toml").write_text("out = 3\n")
    with pytest.raises(UsageError, match="exported"):
        audit(replace(settings, source=stream))
    (stream / "config.toml").write_text('data = "photos"\n')
    with pytest.raises(EdgeTransferError, match="no head yet"):
        audit(replace(settings, source=stream))


def test_the_command(doubtful, settings, capsys, tmp_path):
    words = [
        *("audit", str(settings.source), "--backbone", settings.backbone),
        *("--engine", "onnxruntime", "--cache-dir", str(settings.cache_dir)),
    ]
    assert main([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert pairs_of(result) == doubtful.copies
    assert main([*words, "--manifest", str(tmp_path / "m.csv")]) == 0
    shown = capsys.readouterr()
    assert "labels are probably wrong" in shown.out
    assert next(iter(doubtful.flipped)) in shown.out
    assert "112 photos" in shown.out


def planted(folder, target, rng, rate):
    """Training photos as links, a share of them in a folder that is not theirs."""
    names = sorted(p.name for p in folder.iterdir())
    photos = [(name, photo) for name in names for photo in sorted((folder / name).iterdir())]
    chosen = set(rng.choice(len(photos), round(rate * len(photos)), replace=False).tolist())
    for place, (name, photo) in enumerate(photos):
        home = name
        if place in chosen:
            home = names[(names.index(name) + int(rng.integers(1, len(names)))) % len(names)]
        (target / home).mkdir(parents=True, exist_ok=True)
        prefix = "flipped" if place in chosen else "kept"
        (target / home / f"{prefix}-{name}-{photo.name}").symlink_to(photo)
    return len(chosen)


@pytest.mark.slow
def test_flipped_labels_of_caltech(shared_data, tmp_path):
    """5 % of the labels of Caltech-101 flipped: 80 % of the first 5 % named are among them."""
    rng = np.random.default_rng(11)
    flipped = planted(shared_data / "caltech-101" / "train", tmp_path / "photos", rng, 0.05)
    path = tmp_path / "all.csv"
    result = audit(
        AuditSettings(source=tmp_path / "photos", manifest=path, cache_dir=tmp_path / "cache")
    )
    with path.open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: float(row["confidence"]))
    first = [row["path"].split("/")[-1] for row in rows[:flipped]]
    assert sum(name.startswith("flipped") for name in first) >= 0.8 * flipped
    named = [row["id"].split("/")[-1] for row in result["wrong_labels"]]
    assert sum(name.startswith("flipped") for name in named) >= 0.8 * flipped
    assert len(named) <= 1.3 * flipped
