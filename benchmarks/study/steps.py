"""What the study does, in order: each a process, and each done or not by what it leaves."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planning import Plan, Trained, percent

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Step:
    """One process.

    Parameters
    ----------
    name
        For people, and of its log.
    words
        The command.
    leaves
        What is there once it is done, written last.
    """

    name: str
    words: tuple[str, ...]
    leaves: Path

    @property
    def is_done(self) -> bool:
        """Whether it need not be run."""
        return self.leaves.is_file()

    @property
    def command(self) -> list[str]:
        """What is run; it goes on where it was interrupted."""
        return [sys.executable, *self.words]


class Comparison(Step):
    """A comparison of what networks there are; further ones ask for it again."""

    @property
    def is_done(self) -> bool:
        """Whether its report knows all networks that it is asked about."""
        if not self.leaves.is_file():
            return False
        known = {one["name"] for one in json.loads(self.leaves.read_text())["backbones"]}
        named = [word for word in self.words if word.endswith(".onnx")]
        return known == {Path(word).stem for word in named}


def steps(plan: Plan, plan_path: Path, data: Path, out: Path) -> list[Step]:
    """Everything; comparisons of the networks that are there now."""
    made = out / "data" / "made.json"
    words = (
        str(HERE / "groups.py"),
        str(plan_path),
        "--data",
        str(data),
        "--out",
        str(made.parent),
    )
    found = [Step(name="data", words=words, leaves=made)]
    for seed in plan.seeds:
        for network in plan.networks:
            found += _of_network(plan, network, seed, out)
        compared = _comparison(plan, seed, data, out)
        found += [] if compared is None else [compared]
    return found


def _of_network(plan: Plan, network: Trained, seed: int, out: Path) -> list[Step]:
    folder = out / "networks" / f"seed-{seed}"
    file = folder / f"{network.name}.onnx"
    options: dict[str, Any] = {**plan.training, **network.options}
    if network.sparsity is not None:
        options["sparsity"] = network.sparsity
    words = ["-m", "edgetransfer", "pretrain", "--data", str(out / "data" / "upstream")]
    words += ["--tile", str(plan.tile)] if plan.upstream_photos is None else []
    words += ["--policy", network.policy, "--seed", str(seed)]
    # Both: what is begun goes on, and a file whose report was never written is made anew.
    words += [*flags(options), "--out", str(file), "--resume", "--overwrite"]
    leaves = file.with_name(f"{file.stem}.pretrain.json")
    found = [Step(name=f"seed-{seed} {network.name}", words=tuple(words), leaves=leaves)]
    for name, share in network.pruned.items():
        pruned = folder / f"{name}.onnx"
        words = ["-m", "edgetransfer", "sparsify", str(file), "--method", "magnitude"]
        words += ["--sparsity", f"{share:g}", "--calibration", str(out / "data" / "calibration")]
        words += [*flags({"threads": plan.training.get("threads")}), "--out", str(pruned)]
        words.append("--overwrite")
        leaves = pruned.with_name(f"{name}.sparsify.json")
        found.append(Step(name=f"seed-{seed} {name}", words=tuple(words), leaves=leaves))
    return found


def _comparison(plan: Plan, seed: int, data: Path, out: Path) -> Comparison | None:
    folder, target = out / "networks" / f"seed-{seed}", out / "compare" / f"seed-{seed}"
    names = [n for one in plan.networks for n in ([one.name] if not one.one_shot else one.pruned)]
    there = [name for name in names if name != "dense" and (folder / f"{name}.onnx").is_file()]
    if not there or not (folder / "dense.onnx").is_file():
        return None
    words = ["-m", "edgetransfer", "compare", "--baseline", str(folder / "dense.onnx")]
    words += [word for name in there for word in ("--backbone", str(folder / f"{name}.onnx"))]
    for task in plan.tasks:
        place = data / plan.folders[task] if task in plan.folders else out / "data" / task
        words += ["--data", str(place)]
    words += [*flags(plan.comparison), "--out", str(target)]
    name = f"seed-{seed} compare {len(there) + 1} networks"
    return Comparison(name=name, words=tuple(words), leaves=target / "report.json")


def flags(options: dict[str, Any]) -> list[str]:
    """Options as they are typed: ``flip = false`` is ``--no-flip``; nothing of what is None."""
    words: list[str] = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        if value is None:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", f"{value:g}" if isinstance(value, float) else str(value)]
    return words


def label(name: str) -> tuple[str, float | None]:
    """Policy and sparsity of a network's name."""
    policy, _, share = name.rpartition("-")
    try:
        return policy, float(share) / 100
    except ValueError:
        return name, None


__all__ = ["Comparison", "Step", "flags", "label", "percent", "steps"]
