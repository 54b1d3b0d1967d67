"""The study's plan, its steps, how it goes on, and what it makes of finished runs."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgetransfer.errors import DataError

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "study"
sys.path.insert(0, str(HERE))

import findings  # noqa: E402
import groups  # noqa: E402
import run as runner  # noqa: E402
from planning import Plan, read_plan  # noqa: E402
from steps import Step, flags, label, steps  # noqa: E402

from edgetransfer.settings.pretrain import Pretraining  # noqa: E402

SMALL = """
seeds = [0, 1]
[upstream]
sheets = "tiles"
tile = 16
classes = 3
training = { epochs = 1, flip = false, min-crop = 0.5 }
[[policies]]
name = "dense"
[[policies]]
name = "gmp"
sparsities = [0.5, 0.8]
[[policies]]
name = "str"
sparsities = [0.8, 0.9]
options = { weight-decay = [0.001, 0.01] }
[[policies]]
name = "cram+-multi"
one-shot = [0.8]
[downstream]
photos = 4
groups = { own = ["a", "b"] }
random = { groups = 2, classes = 2 }
[comparison]
transfer = "linear"
"""


def plan_of(folder: Path, text: str = SMALL) -> Plan:
    path = folder / "plan.toml"
    path.write_text(text)
    return read_plan(path)


def sheets(folder: Path, names: str = "abcdefghi") -> Path:
    """A sheet a class: twelve training tiles and six validation tiles of 16 pixels."""
    rng = np.random.default_rng(0)
    for split, rows in (("train", 2), ("val", 1)):
        (folder / "tiles" / split).mkdir(parents=True)
        for number, name in enumerate(names):
            colour = np.array([number * 25, 250 - number * 25, 90])
            noise = rng.integers(-20, 20, (16 * rows, 96, 3))
            pixels = np.clip(colour + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "tiles" / split / f"{name}.jpg")
    return folder


@pytest.mark.parametrize("name", ["plan.toml", "small.toml"])
def test_the_plans_that_are_here(name: str) -> None:
    """Every network is one that pretrain would take, and no class is up- and downstream."""
    plan = read_plan(HERE / name)
    for network in plan.networks:
        options = {**plan.training, **network.options}
        known = {key.replace("-", "_"): value for key, value in options.items()}
        made = Pretraining(
            data="photos", out="n.onnx", policy=network.policy, sparsity=network.sparsity, **known
        )
        assert made.n_epochs == plan.training["epochs"], "equal budgets"
    upstream, tasks = groups.parted(plan, [*_others(plan), *sum(plan.groups.values(), ())])
    assert len(upstream) == plan.classes
    taken = [name for names in tasks.values() for name in names]
    assert not set(upstream) & set(taken)
    assert len(taken) == len(set(taken))


def _others(plan: Plan) -> list[str]:
    return [f"o{i:03d}" for i in range(200 - sum(len(g) for g in plan.groups.values()))]


def test_steps_are_those_of_every_seed(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    listed = steps(plan, tmp_path / "plan.toml", tmp_path, tmp_path / "out")
    names = [step.name for step in listed]
    own = ["dense", "gmp-50", "gmp-80", "str-80", "str-90", "cram+-multi", "cram+-multi-80"]
    assert names == ["data", *(f"seed-{seed} {name}" for seed in (0, 1) for name in own)]
    by_name = {step.name: " ".join(step.words) for step in listed}
    assert "--sparsity 0.8" in by_name["seed-1 gmp-80"]
    assert "--weight-decay 0.01" in by_name["seed-0 str-90"]
    assert "--sparsity" not in by_name["seed-0 str-90"]
    assert "--no-flip" in by_name["seed-0 dense"]
    assert flags({"a_b": 1e-4, "c": True, "d": None}) == ["--a-b", "0.0001", "--c"]
    assert label("cram+-multi-80") == ("cram+-multi", 0.8)
    assert label("cram+-multi") == ("cram+-multi", None)


def test_data_sets_are_cut_from_the_sheets(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    groups.make(plan, sheets(tmp_path), tmp_path / "made")
    made = json.loads((tmp_path / "made" / "made.json").read_text())
    for group, names in made["groups"].items():
        for name in names:
            assert len(list((tmp_path / "made" / group / "train" / name).iterdir())) == 4
            assert len(list((tmp_path / "made" / group / "test" / name).iterdir())) == 6
    assert not set(made["upstream"]) & {n for names in made["groups"].values() for n in names}
    assert groups.parted(plan, list("abcdefghi")) == (made["upstream"], made["groups"])
    with pytest.raises(DataError, match="are more than the"):
        groups.parted(plan, list("abcdef"))
    with pytest.raises(DataError, match="no class b"):
        groups.parted(plan, list("acdefghi"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("seeds = [0, 1]", ""), "lacks the key 'seeds'"),
        (("seeds = [0, 1]", "seeds = 3"), "is no plan"),
        (("seeds = [0, 1]", "seeds ="), "is no plan"),
        (('name = "gmp"', 'name = "gnp"'), "no policy 'gnp'"),
        (('name = "dense"', 'name = "sam"'), "policies: dense"),
        (("[0.5, 0.8]", "[0.8, 0.8]"), "gmp-80 is there twice"),
        (('["a", "b"]', '["a", "a"]'), "in two groups"),
        (("[0.001, 0.01]", "[0.001]"), "is no plan"),
        (("photos = 4", 'photos = "x"'), "is no plan"),
    ],
)
def test_a_plan_that_is_none(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        plan_of(tmp_path, SMALL.replace(*change))


def test_a_failing_step_does_not_stop_the_others_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, out = plan_of(tmp_path), tmp_path / "out"
    fails = {"seed-0 gmp-50"}
    called: list[str] = []

    def call(step: Step, _: Path) -> int:
        called.append(step.name)
        if step.name in fails:
            return 1
        step.leaves.parent.mkdir(parents=True, exist_ok=True)
        step.leaves.write_text("{}")
        return 0

    monkeypatch.setattr(runner, "_call", call)
    monkeypatch.setattr(runner, "write_findings", lambda *_: "")
    monkeypatch.setattr(runner, "NICE", 0)
    out.mkdir()
    given = (plan, tmp_path / "plan.toml", tmp_path, out)
    assert runner.run(*given) == 1
    assert len(called) == 15
    assert "seed-0 gmp-50 failed" in capsys.readouterr().out
    told = "\n".join(runner.status(*given))
    assert "14 of 15 done" in told
    assert "seed-0 gmp-50" + " " * 24 + "failed" in told
    fails.clear()
    called.clear()
    assert runner.run(*given) == 0
    assert called == ["seed-0 gmp-50"], "what is done is not done again"


def test_a_folder_of_another_plan_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_of(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plan.toml").write_text("seeds = [7]")
    words = [str(tmp_path / "plan.toml"), "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert runner.main(words) == 2
    assert "runs of another plan" in capsys.readouterr().err
    assert (tmp_path / "out" / "plan.toml").read_text() == "seeds = [7]"


def report(accuracies: dict[tuple[str, str, str], float]) -> dict[str, Any]:
    keys = ("transfer", "data", "backbone")
    found = [{**dict(zip(keys, k, strict=True)), "mean": v} for k, v in accuracies.items()]
    return {"baseline": "dense", "results": found}


def test_alpha_over_tasks_of_the_means_over_seeds() -> None:
    """By hand: a task's accuracies are averaged over the seeds first."""
    seeds = [
        report({("linear", "t", "dense"): 0.8, ("linear", "t", "acdc-90"): 0.9,
                ("linear", "u", "dense"): 0.5, ("linear", "u", "acdc-90"): 0.4}),
        report({("linear", "t", "dense"): 0.6, ("linear", "t", "acdc-90"): 0.7,
                ("linear", "u", "dense"): 0.5, ("linear", "u", "acdc-90"): 0.5}),
    ]  # fmt: skip
    cells = findings.cells_of(seeds)
    alphas = findings.alphas_of(cells, "linear", "acdc-90")
    assert alphas == {"t": pytest.approx(-0.1 / 0.3), "u": pytest.approx(0.05 / 0.5)}
    found = findings.alpha_of(cells, "linear", "acdc-90")
    assert found is not None
    assert found.mean == pytest.approx(np.mean(list(alphas.values())))
    assert found.error == pytest.approx(np.std(list(alphas.values()), ddof=1) / 2**0.5)
    assert findings.alpha_of(cells, "full", "acdc-90") is None


@pytest.mark.parametrize(
    ("better", "noise", "said"),
    [(0.05, 0.0, "as predicted"), (-0.05, 0.0, "against"), (0.0, 0.02, "cannot be told")],
)
def test_a_prediction_is_told_only_where_it_can_be(better: float, noise: float, said: str) -> None:
    rng = np.random.default_rng(0)
    accuracies = {}
    for task in "abcdefgh":
        dense = float(rng.uniform(0.5, 0.8))
        accuracies["linear", task, "dense"] = dense
        accuracies["linear", task, "gmp-90"] = dense - 0.1
        accuracies["linear", task, "acdc-90"] = dense - 0.1 + better + noise * rng.normal()
    cells = findings.cells_of([report(accuracies)])
    assert said in findings.difference(cells, "linear", ["acdc-90"], ["gmp-90"])
    told = list(findings.predictions(cells, {}))
    assert any(line.startswith("1. Linear, 90%") and said in line for line in told)


@pytest.mark.slow
def test_from_sheets_to_findings(tmp_path: Path) -> None:
    """Every step for real, in the smallest form; and nothing is done a second time."""
    pytest.importorskip("torch")
    sheets(tmp_path)
    small = SMALL.replace("seeds = [0, 1]", "seeds = [0]").replace("0.5, 0.8]", "0.5]")
    small = small.replace("epochs = 1,", "epochs = 2, size = 16, width = 0.25, batch-size = 8,")
    small = small.replace("flip = false", "flip = false, tuning-images = 16, threads = 1")
    (tmp_path / "plan.toml").write_text(small)
    words = [str(tmp_path / "plan.toml"), "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert runner.main(words) == 0
    found = (tmp_path / "out" / "findings.md").read_text()
    assert "5 of 5 trainings and 1 of 1 comparisons" in found
    assert "| cram+-multi-80 |" in found
    made = tomllib.loads((tmp_path / "out" / "plan.toml").read_text())
    assert made["seeds"] == [0]
    before = (tmp_path / "out" / "steps.jsonl").read_text()
    assert runner.main(words) == 0
    assert (tmp_path / "out" / "steps.jsonl").read_text() == before
