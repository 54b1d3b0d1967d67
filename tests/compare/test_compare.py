"""A comparison from end to end, and what it says by hand."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from edgetransfer.cli.main import main
from edgetransfer.compare import compare
from edgetransfer.compare.contestants import Contestant, Task
from edgetransfer.compare.judging import Result, Results, advice, alpha_of
from edgetransfer.compare.running import cells, is_done
from edgetransfer.compare.writing import results_tex
from edgetransfer.errors import (
    DataError,
    EdgeTransferError,
    RunFolderError,
    TakenError,
    UsageError,
)
from edgetransfer.metrics.conventions import Metric
from edgetransfer.reports.compare import CompareRecord
from edgetransfer.settings.compare import ComparisonSettings, Transfer
from tests.photos import backbone, photos, write_photos

__all__ = ["backbone", "photos"]


@pytest.fixture
def settings(backbone: Path, photos: Path, tmp_path: Path) -> ComparisonSettings:
    return ComparisonSettings(
        baseline=str(backbone),
        backbones=("tinyresnet-90",),
        data=(photos,),
        out=tmp_path / "compared",
        solver="ridge",
        engine="onnxruntime",
        threads=1,
        cache_dir=tmp_path / "cache",
        size=32,
        resize=36,
    )


def changed(settings: ComparisonSettings, **values: object) -> ComparisonSettings:
    from dataclasses import replace

    return replace(settings, **values)  # type: ignore[arg-type]


def test_a_comparison(settings: ComparisonSettings, tmp_path: Path) -> None:
    report = compare(settings)
    assert [b["name"] for b in report["backbones"]] == ["small", "tinyresnet-90"]
    assert report["backbones"][0]["sparsity"] == 0.5
    (data,) = report["data"]
    assert (data["metric"], data["tested_on"], data["held_out"]) == ("top1", "test", 0.0)
    dense, other = report["results"]
    run = json.loads(
        next(
            (tmp_path / "compared" / "runs").glob("linear/*/tinyresnet*/seed-0/report.json")
        ).read_text()
    )
    assert other["accuracy"] == [run["final"]["top1"]]
    assert dense["alpha"] == (0 if dense["mean"] < 1 else None)
    page = (tmp_path / "compared" / "report.html").read_text()
    assert "tinyresnet-90" in page
    with (tmp_path / "compared" / "results.csv").open() as table:
        lines = list(csv.DictReader(table))
    assert [float(line["accuracy"]) for line in lines] == [dense["mean"], other["mean"]]
    said: list[tuple[str, int, int]] = []
    assert compare(settings, progress=lambda *told: said.append(told)) == report
    assert said == [("trained", 2, 2)]
    with pytest.raises(UsageError, match="solver was ridge and is now lda"):
        compare(changed(settings, solver="lda"))


@pytest.mark.slow
def test_what_is_there_is_not_trained_again(
    settings: ComparisonSettings, tmp_path: Path, photos: Path
) -> None:
    compare(settings)
    reports = sorted((tmp_path / "compared" / "runs").rglob("report.json"))
    before = {path: path.stat().st_mtime_ns for path in reports}
    (photos / "test" / "red" / "000.png").unlink()  # names and labels are others now
    said: list[tuple[str, int, int]] = []
    second = compare(settings, progress=lambda *told: said.append(told))
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert [done for _, done, _ in said] == [0, 1, 2]
    assert len(sorted((tmp_path / "compared" / "runs").rglob("report.json"))) == 4
    assert len(second["results"]) == 2
    more = compare(changed(settings, seeds=2))
    assert [len(result["accuracy"]) for result in more["results"]] == [2, 2]


@pytest.mark.slow
def test_a_comparison_begun_anew(settings: ComparisonSettings) -> None:
    compare(settings)
    compare(changed(settings, solver="lda"), overwrite=True)
    assert all(
        json.loads(path.read_text())["solver"] == "lda"
        for path in (settings.out / "runs").rglob("report.json")
    )


@pytest.mark.slow
def test_photos_without_a_test_split_are_held_out(
    settings: ComparisonSettings, tmp_path: Path
) -> None:
    write_photos(tmp_path / "plain", 10, seed=3)
    report = compare(changed(settings, data=(tmp_path / "plain",)))
    (data,) = report["data"]
    assert (data["tested_on"], data["held_out"]) == ("val", 0.2)
    assert all(result["best"] == result["accuracy"] for result in report["results"])


@pytest.mark.slow
def test_what_a_training_says_is_said(settings: ComparisonSettings, photos: Path) -> None:
    """And what is done is kept: with the photos mended, the same call goes on."""
    for path in (photos / "train" / "red").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"small on photos, seed 0: .*the same command goes on"):
        compare(settings)
    write_photos(photos / "more", 20, seed=5)
    for path in (photos / "more" / "red").iterdir():
        path.replace(photos / "train" / "red" / path.name)
    for folder in ("more",):
        import shutil

        shutil.rmtree(photos / folder)
    assert len(compare(settings)["results"]) == 2


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"data": ()}, "at least one data set"),
        ({"backbones": ()}, "nothing to compare"),
        ({"backbones": ("a", "a")}, "named twice"),
        ({"seeds": 0}, "--seeds"),
        ({"seeds": 101}, "--seeds"),
    ],
)
def test_nonsense_is_refused(
    settings: ComparisonSettings, values: dict[str, object], match: str
) -> None:
    with pytest.raises(UsageError, match=match):
        changed(settings, **values)


def test_the_same_backbone_under_two_names(settings: ComparisonSettings, tmp_path: Path) -> None:
    (tmp_path / "copy.onnx").write_bytes(Path(settings.baseline).read_bytes())
    with pytest.raises(UsageError, match="the same backbone"):
        compare(changed(settings, backbones=(str(tmp_path / "copy.onnx"),)))
    assert not settings.out.exists()


def test_a_strange_folder_is_left_alone(settings: ComparisonSettings) -> None:
    settings.out.mkdir()
    (settings.out / "letters.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(TakenError, match="not a comparison's folder"):
            compare(settings, overwrite=overwrite)
    assert [path.name for path in settings.out.iterdir()] == ["letters.txt"]


def test_runs_that_cannot_be_deleted_are_not_taken_for_new_ones(
    settings: ComparisonSettings, tmp_path: Path
) -> None:
    settings.out.mkdir()
    (settings.out / "compare.json").write_text('{"solver": "lda"}')
    (tmp_path / "elsewhere").mkdir()
    (settings.out / "runs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunFolderError, match="runs: cannot be deleted"):
        compare(settings, overwrite=True)
    assert (settings.out / "compare.json").read_text() == '{"solver": "lda"}'
    assert (tmp_path / "elsewhere").is_dir()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
def test_both_kinds_of_transfer(settings: ComparisonSettings) -> None:
    report = compare(changed(settings, transfer="both", epochs=1, engine="auto"))
    linear, full = report["results"][0], report["results"][2]
    assert (linear["transfer"], full["transfer"]) == ("linear", "full")
    (data,) = report["data"]
    assert data["difficulty"] == pytest.approx(full["mean"] - linear["mean"])
    for path in (settings.out / "runs" / "full").rglob("report.json"):
        assert json.loads(path.read_text())["kept"] == "finetuned"


@pytest.mark.slow
def test_on_the_command_line(settings: ComparisonSettings, capsys: pytest.CaptureFixture) -> None:
    words = ["compare", "--baseline", settings.baseline, "--backbone", "tinyresnet-90"]
    words += ["--data", str(settings.data[0]), "--out", str(settings.out), "--size", "32"]
    words += ["--resize", "36", "--engine", "onnxruntime", "--solver", "ridge", "--threads", "1"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "has the highest accuracy on this data set" in said.out
    assert "What holds on other data is not known from 1." in said.out


# By hand


def contestant(name: str, sparsity: float = 0.0) -> Contestant:
    return Contestant(name=name, given=name, sha256=name * 8, sparsity=sparsity, pruned_filters=0.0)


def task(name: str) -> Task:
    metric = Metric(name="top1", reason="")
    return Task(
        name=name, path=Path(name), fingerprint=name * 8, metric=metric, tested_on="test",
        held_out=0.0,
    )  # fmt: skip


def made(
    accuracies: dict[tuple[Transfer, str, str], tuple[float, ...]],
    *,
    tested: int,
    sparsity: dict[str, float] | None = None,
) -> Results:
    return {
        (transfer, data, name): Result(
            transfer=transfer,
            task=task(data),
            contestant=contestant(name, (sparsity or {}).get(name, 0.0)),
            accuracies=values,
            best=(None,) * len(values),
            tested=tested,
            seconds=1.0,
        )
        for (transfer, data, name), values in accuracies.items()
    }


def test_alpha_and_its_correlation_with_difficulty() -> None:
    results = made(
        {
            ("linear", "a", "dense"): (0.9, 0.8),
            ("linear", "a", "sparse"): (0.85, 0.8),
            ("linear", "b", "dense"): (0.5,),
            ("linear", "b", "sparse"): (0.55,),
            ("linear", "c", "dense"): (0.6,),
            ("linear", "c", "sparse"): (0.6,),
            ("full", "a", "dense"): (0.85,),
            ("full", "b", "dense"): (0.8,),
            ("full", "c", "dense"): (0.7,),
        },
        tested=100,
    )
    tasks = [task(name) for name in "abc"]
    found = alpha_of(results, "linear", contestant("sparse"), tasks, contestant("dense"))
    alphas = [0.025 / 0.15, -0.1, 0.0]
    assert found["mean"] == pytest.approx(np.mean(alphas))
    assert found["standard_error"] == pytest.approx(np.std(alphas, ddof=1) / 3**0.5)
    assert found["correlation"] == pytest.approx(np.corrcoef([0.0, 0.3, 0.1], alphas)[0, 1])


def test_a_baseline_without_error_has_no_alpha() -> None:
    results = made({("linear", "a", "dense"): (1.0,), ("linear", "a", "sparse"): (0.9,)}, tested=10)
    found = alpha_of(results, "linear", contestant("sparse"), [task("a")], contestant("dense"))
    assert (found["mean"], found["data_sets"]) == (None, 0)


@pytest.mark.parametrize(("tested", "close"), [(100, ["sparse"]), (100_000, [])])
def test_how_sure_it_is_follows_how_many_photos_were_tested(tested: int, close: list[str]) -> None:
    results = made(
        {("linear", "a", "dense"): (0.91,), ("linear", "a", "sparse"): (0.90,)},
        tested=tested,
        sparsity={"sparse": 0.9},
    )
    contestants = [contestant("dense"), contestant("sparse", 0.9)]
    found = advice(results, "linear", contestants, [task("a")])
    assert (found["best"], found["not_told_apart"]) == ("dense", close)
    assert ("sparse is the sparsest" in found["says"]) == bool(close)


def test_the_interval_holds_what_it_promises() -> None:
    """Two equal backbones, tested on other photos each: told apart in at most 5 % of trials."""
    rng = np.random.default_rng(0)
    apart = 0
    for _ in range(400):
        drawn = rng.binomial(200, 0.8, size=(2, 2)) / 200
        results = made(
            {
                ("linear", data, name): (float(drawn[i, j]),)
                for i, data in enumerate("ab")
                for j, name in enumerate(("dense", "sparse"))
            },
            tested=200,
        )
        contestants = [contestant("dense"), contestant("sparse")]
        found = advice(results, "linear", contestants, [task("a"), task("b")])
        apart += not found["not_told_apart"]
    assert apart / 400 < 0.08


def test_names_in_tables_and_on_the_page_do_no_harm(settings: ComparisonSettings) -> None:
    from edgetransfer.compare.page import comparison_page

    strange = "50%_<b>&\\"
    report: CompareRecord = {
        "baseline": strange,
        "seeds": 1,
        "backbones": [
            {"name": n, "sha256": "0" * 64, "sparsity": 0.1, "pruned_filters": 0.0}
            for n in (strange, "other")
        ],
        "data": [
            {"name": strange, "metric": "top1", "tested_on": "test", "held_out": 0.0,
             "difficulty": d}
            for d in (0.1,)
        ],
        "results": [
            {"transfer": "linear", "data": strange, "backbone": n, "accuracy": [0.5],
             "best": [None], "mean": 0.5, "standard_error": None, "alpha": 0.0,
             "seconds_per_epoch": 1.0}
            for n in (strange, "other")
        ],
        "alphas": [
            {"transfer": "linear", "backbone": "other", "data_sets": 1, "mean": 0.0,
             "standard_error": None, "correlation": None}
        ],
        "advice": [
            {"transfer": "linear", "best": strange, "accuracy": 0.5, "not_told_apart": ["other"],
             "says": f"{strange} is it."}
        ],
    }  # fmt: skip
    assert "<b>" not in comparison_page(report)
    table = results_tex(report)
    assert r"50\%\_<b>\&\textbackslash{}" in table
    assert not is_done(next(cells(settings, [contestant("a")], [task("a")])), settings.out)


def test_errors_of_trainings_keep_their_kind() -> None:
    from edgetransfer.compare.running import ERRORS

    assert all(issubclass(kind, EdgeTransferError) for kind in ERRORS.values())
