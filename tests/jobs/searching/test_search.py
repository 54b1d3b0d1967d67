"""The photos that are most like others: of tables, of a run on photos, of a run on tables."""

from __future__ import annotations

import json
import shutil

import pytest

import edgetransfer
from edgetransfer.cli.main import main
from edgetransfer.errors import DataError
from tests.photos import backbone, photos  # noqa: F401


@pytest.fixture
def made(photos, backbone, tmp_path):  # noqa: F811
    common = {"backbone": str(backbone), "engine": "onnxruntime"}
    edgetransfer.extract_features(data=photos, out=tmp_path / "features", rows=20, **common)
    edgetransfer.train_linear(data=photos, out=tmp_path / "run", solver="ridge", **common)
    edgetransfer.train_linear(data=tmp_path / "features", out=tmp_path / "of-tables")
    return tmp_path


def test_a_photo_is_most_like_itself_and_its_colour(made, photos, capsys):  # noqa: F811
    asked = [photos / "train" / "red" / "003.png", photos / "test" / "blue" / "001.png"]
    found = [
        edgetransfer.search_photos(source=made / where, photos=asked, top=4, engine="onnxruntime")
        for where in ("features", "run", "of-tables")
    ]
    for report in found:
        assert report["photos"] == 75
        for query, own in zip(report["queries"], asked, strict=True):
            nearest = query["nearest"]
            assert len(nearest) == 4
            assert nearest[0]["id"] == str(own.relative_to(photos))
            assert nearest[0]["similarity"] == pytest.approx(1, abs=1e-5)
            assert {near["label"] for near in nearest} == {own.parent.name}
    assert found[0]["queries"] == found[2]["queries"]
    assert [q["nearest"][1]["id"] for q in found[0]["queries"]] == [
        q["nearest"][1]["id"] for q in found[1]["queries"]
    ]
    assert main(["search", str(made / "features"), str(asked[0]), "--top", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["queries"][0]["nearest"][0]["split"] == "train"


def test_what_cannot_be_searched(made, photos, backbone, tmp_path, capsys):  # noqa: F811
    asked = str(photos / "train" / "red" / "003.png")
    assert main(["search", str(photos), asked]) != 0
    assert "photos" in capsys.readouterr().err
    (made / "broken.jpg").write_bytes(b"no photo")
    assert main(["search", str(made / "features"), str(made / "broken.jpg")]) == 3
    assert "broken.jpg" in capsys.readouterr().err
    moved = shutil.move(backbone, tmp_path / "moved.onnx")
    try:
        with pytest.raises(DataError, match="name that one by --backbone"):
            edgetransfer.search_photos(source=made / "features", photos=asked)
        found = edgetransfer.search_photos(
            source=made / "features", photos=asked, backbone=str(moved), engine="onnxruntime"
        )
        assert found["photos"] == 75
    finally:
        shutil.move(moved, backbone)
