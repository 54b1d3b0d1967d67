"""A stream of features: what cannot be used, and what tables do not allow."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetransfer.cli.main import main
from edgetransfer.errors import DataError, EngineError, UsageError
from edgetransfer.stream import (
    LearningSettings,
    run_stream,
)
from edgetransfer.stream.table_features import FeaturesAlone
from tests.photos import backbone, photos
from tests.stream.features_made import made, settings_for
from tests.stream.tables_made import origin_of, rows_of, write_folder
from tests.train.test_tables import DAMAGES

__all__ = ["backbone", "made", "photos"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_tables_that_cannot_be_used(damage: str, made: Path, tmp_path: Path) -> None:
    change, said = DAMAGES[damage]
    shutil.copytree(made / "features", tmp_path / "features")
    change(tmp_path / "features")
    with pytest.raises(DataError, match=said):
        run_stream(settings_for(tmp_path / "run", f"data:{tmp_path / 'features'}"))


def test_of_two_makings(made: Path, tmp_path: Path) -> None:
    other = write_folder(tmp_path / "other", rows_of(range(8)))
    with pytest.raises(DataError, match=r"does not go with .*: the backbone is another"):
        run_stream(settings_for(tmp_path / "run", f"data:{made / 'features'}", f"data:{other}"))
    with pytest.raises(DataError, match="does not go with"):
        run_stream(settings_for(tmp_path / "run", f"data:{made / 'features'}", test_data=other))
    run_stream(settings_for(tmp_path / "run", f"data:{made / 'features'}"))
    with pytest.raises(UsageError, match="backbone"):
        run_stream(settings_for(tmp_path / "run", f"data:{other}"))


def test_halves_go_with_whole_ones(tmp_path: Path) -> None:
    """float16 rows are learned as they stand; both folders have the same ids, and so names."""
    rows = rows_of(range(16))
    whole = write_folder(tmp_path / "whole", rows)
    halves = write_folder(tmp_path / "halves", rows, origin=origin_of(dtype="float16"))
    report = run_stream(settings_for(tmp_path / "run", f"data:{whole}", f"data:{halves}"))
    assert report["accepted"] == 32


def asked(**others: Any) -> tuple[dict[str, Any], type[Exception], str]:
    kind = others.pop("kind", UsageError)
    return others["given"], kind, others["said"]


REFUSED = {
    "views": asked(given={"learning": LearningSettings(views=1)}, said="--views: .*not there"),
    "another size": asked(given={"size": 24}, said="--size: .*shown otherwise"),
    "another look": asked(given={"normalisation": "imagenet"}, said="--normalisation: .*otherwise"),
    "another tensor": asked(given={"features": "p"}, said="--features: .*tensor 'y'"),
    "another backbone": asked(
        given={"backbone": "tinyresnet-90"}, kind=DataError, said="tinyresnet-90 is another"
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_tables_do_not_allow_is_refused(case: str, made: Path, tmp_path: Path) -> None:
    given, kind, said = REFUSED[case]
    with pytest.raises(kind, match=said):
        run_stream(settings_for(tmp_path / "run", f"data:{made / 'features'}", **given))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_watched_has_photos(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stream", "--source", f"folder:{made / 'features'}", "--out", str(tmp_path / "run")]
    assert main(words) == 2
    assert f"data:{made / 'features'} learns from them" in capsys.readouterr().err


def test_tests_that_tables_do_not_have(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "features", rows_of(range(12)))
    with pytest.raises(DataError, match="neither a test nor a val split"):
        run_stream(settings_for(tmp_path / "a", f"data:{folder}", test_data=folder))
    other = rows_of(range(8), "test")
    other.labels[3] = "dark matter"
    tested = write_folder(tmp_path / "tested", other)
    with pytest.raises(DataError, match="'dark matter' was not learned"):
        run_stream(settings_for(tmp_path / "b", f"data:{folder}", test_data=tested))


def test_nothing_to_learn(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "features", rows_of(range(12), "test"))
    with pytest.raises(DataError, match="no training rows"):
        run_stream(settings_for(tmp_path / "run", f"data:{folder}"))


def test_photos_are_refused_by_who_has_features_alone() -> None:
    engine = FeaturesAlone(origin_of())
    with pytest.raises(EngineError, match="features alone"):
        engine.run(np.zeros((1, 3, 16, 16), np.float32))
