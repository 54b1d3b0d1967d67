"""A comparison on features: what one on their photos shows, without the photos."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgetransfer import Extraction
from edgetransfer.compare import compare
from edgetransfer.errors import DataError, UsageError
from edgetransfer.extract import extract
from edgetransfer.settings.compare import ComparisonSettings
from edgetransfer.settings.extract import INDEX
from tests.photos import backbone, write_photos
from tests.train.test_tables import DAMAGES

__all__ = ["backbone"]

OTHER = "tinyresnet-90"


@pytest.fixture(scope="module")
def made(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, and their features by two backbones."""
    folder = tmp_path_factory.mktemp("made")
    write_photos(folder / "photos" / "train", 20, seed=0)
    write_photos(folder / "photos" / "test", 5, seed=1)
    for name, given in (("small", str(backbone)), ("other", OTHER)):
        extract(
            Extraction(
                data=folder / "photos",
                out=folder / name,
                backbone=given,
                engine="onnxruntime",
                size=32,
                resize=36,
                rows=20,
            )
        )
    return folder


@pytest.fixture
def settings(made: Path, backbone: Path, tmp_path: Path) -> ComparisonSettings:
    return ComparisonSettings(
        baseline=str(backbone),
        backbones=(OTHER,),
        data=(made / "other", made / "small"),
        out=tmp_path / "compared",
        engine="onnxruntime",
        threads=1,
        cache_dir=tmp_path / "cache",
    )


@pytest.mark.slow
def test_it_shows_what_a_comparison_on_the_photos_shows(
    settings: ComparisonSettings, made: Path, tmp_path: Path
) -> None:
    """And neither is taken for the other, nor trained again."""
    report = compare(settings)
    (task,) = report["data"]
    assert (task["name"], task["tested_on"], task["held_out"]) == ("photos", "test", 0.0)
    assert [result["backbone"] for result in report["results"]] == ["small", OTHER]
    said: list[tuple[str, int, int]] = []
    assert compare(settings, progress=lambda *told: said.append(told)) == report
    assert said == [("trained", 2, 2)]
    both = compare(replace(settings, data=(*settings.data, made / "photos")))
    assert [task["name"] for task in both["data"]] == ["photos", "photos-2"]
    accuracies = {(r["data"], r["backbone"]): r["mean"] for r in both["results"]}
    for name in ("small", OTHER):
        assert accuracies["photos", name] == pytest.approx(accuracies["photos-2", name], abs=0.07)
    shutil.rmtree(settings.out / "runs" / "linear")
    assert compare(settings)["results"] == [
        {**r, "seconds_per_epoch": pytest.approx(r["seconds_per_epoch"], rel=20)}
        for r in report["results"]
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"transfer": "full"}, "--transfer full: .*finetuned on photos"),
        ({"transfer": "both"}, "--transfer both: .*finetuned on photos"),
        ({"seeds": 2}, "--seeds 2: .*nothing left to chance"),
        ({"solver": "ridge"}, "--solver ridge: tables are learned from by their exact statistics"),
        ({"recipe": "paper"}, "--solver sgd: tables"),
    ],
)
def test_what_needs_the_photos_is_refused(
    settings: ComparisonSettings, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        compare(replace(settings, **given))
    assert not settings.out.exists()


def test_features_of_each_backbone_and_of_no_other(
    settings: ComparisonSettings, made: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"no features of {OTHER}; add .*extract --backbone"):
        compare(replace(settings, data=(made / "small",)))
    model = onnx.load(settings.baseline)
    model.doc_string = "another file, and so another backbone"
    another = tmp_path / "another.onnx"
    onnx.save(model, str(another))
    with pytest.raises(UsageError, match="which is not compared; add --backbone"):
        compare(replace(settings, backbones=(str(another),)))
    shutil.copytree(made / "small", tmp_path / "again")
    with pytest.raises(UsageError, match="same photos by the same backbone"):
        compare(replace(settings, data=(*settings.data, tmp_path / "again")))
    # Of other photos it is another data set, which the other backbone has not seen.
    index = tmp_path / "again" / INDEX
    index.write_text(json.dumps({**json.loads(index.read_text()), "fingerprint": "another"}))
    with pytest.raises(UsageError, match=f"again: .* no features of {OTHER}"):
        compare(replace(settings, data=(*settings.data, tmp_path / "again")))
    assert not settings.out.exists()


@pytest.mark.parametrize("damage", ["half a table", "a column renamed", "another backbone's"])
def test_tables_that_cannot_be_used(
    damage: str, settings: ComparisonSettings, made: Path, tmp_path: Path
) -> None:
    change, said = DAMAGES[damage]
    shutil.copytree(made / "small", tmp_path / "small")
    change(tmp_path / "small")
    with pytest.raises(DataError, match=said):
        compare(replace(settings, data=(made / "other", tmp_path / "small")))
    assert not settings.out.exists()


def test_nothing_to_test_on(settings: ComparisonSettings, made: Path, tmp_path: Path) -> None:
    folders = []
    for name in ("small", "other"):
        given = OTHER if name == "other" else settings.baseline
        folders.append(tmp_path / name)
        extract(
            Extraction(
                data=made / "photos" / "train",
                out=tmp_path / name,
                backbone=given,
                engine="onnxruntime",
            )
        )
    with pytest.raises(DataError, match="no rows to test on"):
        compare(replace(settings, data=tuple(folders)))
