"""`tune`: what it measures, what it keeps, and that training follows it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from edgetransfer import tune_backbone
from edgetransfer.cli.main import main
from edgetransfer.engines import EngineKind, EnginePlan, FakeEngine, Workload, registry, save_plan
from edgetransfer.engines.onnxruntime_engine import OnnxRuntimeEngine
from edgetransfer.errors import DataError, EngineError
from edgetransfer.jobs import tune as tuning
from edgetransfer.jobs.tune import Trial, best_of
from edgetransfer.types import Float32Array
from tests.photos import backbone, photos  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def absent_kind(name: str, **options: object) -> EngineKind:
    return EngineKind(
        name=name,
        title=name.title(),
        package="no-such-package",
        open=OnnxRuntimeEngine,
        why_absent=lambda: f"{name} is not here",
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture
def only_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = (absent_kind("openvino"), absent_kind("deepsparse"), registry.KINDS[-1])
    for module in ("jobs.tune", "engines.registry", "engines.plan", "engines.opening"):
        monkeypatch.setattr(f"edgetransfer.{module}.KINDS", kinds)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "TRIAL_SECONDS", 0.01)
    monkeypatch.setattr(tuning, "PHOTOS", 64)
    monkeypatch.setattr("edgetransfer.engines.speed.TRIAL_SECONDS", 0.01)


def trial(speed: float, **plan: object) -> Trial:
    return Trial(plan=EnginePlan(**plan), images_per_second=speed)  # type: ignore[arg-type]


def test_the_best_way_is_clearly_faster_than_simpler_ones() -> None:
    simple, hardly, clearly = trial(100), trial(101.5, streams=2), trial(103, streams=4)
    assert best_of([simple, hardly]) is simple
    assert best_of([simple, hardly, clearly]) is clearly
    assert best_of([clearly, simple]) is clearly


@pytest.mark.usefixtures("only_onnxruntime", "quick")
def test_every_engine_has_a_row_and_the_fastest_is_kept(
    backbone: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    result = tune_backbone(backbone, cache_dir=tmp_path, seconds=600)
    rows = {row["name"]: row for row in result["engines"]}
    assert rows["openvino"]["reason"] == "openvino is not here"
    assert rows["openvino"]["images_per_second"] is None
    assert rows["onnxruntime"]["images_per_second"] > 0
    assert result["plan"]["engine"] == "onnxruntime"
    assert {t["batch_size"] for t in result["trials"]} == {64, 32, 16}
    assert Path(result["file"]).is_relative_to(tmp_path)


@pytest.mark.usefixtures("only_onnxruntime", "quick")
@pytest.mark.parametrize(("load", "warned"), [(0.1, False), (64.0, True)])
def test_a_busy_machine_is_told(
    load: float,
    warned: bool,
    backbone: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    result = tune_backbone(backbone, cache_dir=tmp_path, seconds=0)
    assert any("busy" in warning for warning in result["warnings"]) == warned


@pytest.mark.usefixtures("only_onnxruntime", "quick")
def test_no_time_is_time_for_one_way(backbone: Path, tmp_path: Path) -> None:  # noqa: F811
    result = tune_backbone(backbone, cache_dir=tmp_path, seconds=0)
    assert len(result["trials"]) == 1


@pytest.mark.usefixtures("quick")
def test_where_no_engine_runs_each_says_why(
    backbone: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kinds = (absent_kind("openvino"), absent_kind("deepsparse"))
    for module in ("jobs.tune", "engines.registry", "engines.plan", "engines.opening"):
        monkeypatch.setattr(f"edgetransfer.{module}.KINDS", kinds)
    with pytest.raises(EngineError, match=r"openvino is not here; deepsparse: deepsparse is not"):
        tune_backbone(backbone, cache_dir=tmp_path)


def test_photos_that_cannot_be_used_are_told(
    backbone: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError, match="no such folder"):
        tune_backbone(backbone, data=tmp_path / "absent", cache_dir=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no photos in it"):
        tune_backbone(backbone, data=tmp_path / "empty", cache_dir=tmp_path)


@pytest.mark.usefixtures("only_onnxruntime", "quick")
def test_photos_that_cannot_be_decoded_do_not_hang(
    backbone: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match="not one of the photos"):
        tune_backbone(backbone, data=tmp_path / "broken", cache_dir=tmp_path)


def train(backbone: Path, photos: Path, out: Path, *more: str) -> dict:  # noqa: F811
    arguments = ["--backbone", str(backbone), "--data", str(photos), "--out", str(out)]
    online = ["--online", "--epochs", "2", "--batch-size", "16", "--engine", "onnxruntime"]
    assert main(["train", *arguments, *online, "--threads", "2", *more]) == 0
    return tomllib.loads((out / "config.toml").read_text())


def keep(plan: EnginePlan, backbone: Path) -> None:  # noqa: F811
    from edgetransfer.backbones import Backbone
    from edgetransfer.features import default_cache_folder, workload_of

    work: Workload = workload_of(Backbone.open(str(backbone)), 2)
    save_plan(plan, default_cache_folder(), work)


def test_training_follows_the_plan_and_a_resumed_run_the_plan_it_began_with(
    backbone: Path,  # noqa: F811
    photos: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(tmp_path / "cache"))
    plain = train(backbone, photos, tmp_path / "plain")
    assert plain["plan"]["streams"] == 1
    keep(EnginePlan(engine="onnxruntime", streams=2, batch_size=8), backbone)
    planned = train(backbone, photos, tmp_path / "planned")
    assert planned["plan"]["streams"] == 2
    assert planned["plan"]["batch_size"] == 8
    reports = [json.loads((tmp_path / n / "report.json").read_text()) for n in ("plain", "planned")]
    losses = [[epoch["train_loss"] for epoch in report["epochs"]] for report in reports]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    # As if it had been killed before its end, and tuned anew since.
    (tmp_path / "planned" / "report.json").unlink()
    keep(EnginePlan(engine="onnxruntime", streams=1, batch_size=4), backbone)
    assert train(backbone, photos, tmp_path / "planned", "--resume")["plan"] == planned["plan"]


def test_a_fake_engine_is_no_kind() -> None:
    assert FakeEngine.name not in registry.engine_names()


@pytest.mark.usefixtures("only_onnxruntime", "quick")
def test_tune_and_doctor_on_the_command_line(
    backbone: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(tmp_path / "cache"))
    assert main(["tune", str(backbone), "--seconds", "0"]) == 0
    shown = capsys.readouterr()
    assert "openvino is not here" in shown.out
    assert "plan       onnxruntime, 1 stream, batches of 64" in shown.out
    assert main(["doctor", "--json"]) == 0
    (tuned,) = json.loads(capsys.readouterr().out)["tuned"]
    assert tuned["backbone"] == "small"
    assert tuned["engine"] == "onnxruntime"
    assert main(["tune", str(tmp_path / "absent.onnx")]) == 3


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("factor", "reduced"), [(1.008, None), (1.008, "bf16"), (1.0, None)])
def test_an_engine_that_makes_other_features_is_not_chosen(
    factor: float,
    reduced: str | None,
    backbone: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Other(OnnxRuntimeEngine):
        def run(self, images: Float32Array) -> Float32Array:
            return super().run(images) * np.float32(factor)

    other = EngineKind(
        name="other", title="Other", package="numpy", open=Other, reduced=reduced, unmeasured="so"
    )
    for module in ("jobs.tune", "engines.registry", "engines.plan", "engines.opening"):
        monkeypatch.setattr(f"edgetransfer.{module}.KINDS", (other, registry.KINDS[-1]))
    # Whatever is measured, the other one is the faster of the two.
    monkeypatch.setattr(tuning, "images_per_second", lambda e: 1e6 if type(e) is Other else 1.0)
    result = tune_backbone(backbone, cache_dir=tmp_path, seconds=0)
    row = result["engines"][0]
    assert row["difference"] == pytest.approx(factor - 1, abs=1e-5)
    wrong = factor != 1 and reduced is None
    chosen = "other" if factor == 1 else "onnxruntime"
    assert result["plan"]["engine"] == chosen
    assert (row["images_per_second"] is None) == wrong
    assert any("other features" in text for text in result["warnings"]) == wrong
