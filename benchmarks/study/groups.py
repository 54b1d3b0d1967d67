"""The data sets of the study: sheets of the upstream classes, and tiles of the downstream ones.

python benchmarks/study/groups.py PLAN --data DATA --out OUT
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from planning import Plan, read_plan

from edgetransfer.atomic import write_atomically
from edgetransfer.data.samples import Sample
from edgetransfer.data.sheets import load_sheets
from edgetransfer.errors import DataError

CALIBRATION = 1200  # tiles to tune batch-norm on, of which some are held out


def parted(plan: Plan, known: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The upstream classes, and the classes of each group; a function of the plan alone.

    Raises
    ------
    DataError
        If a class is unknown, or there are too few.
    """
    named = {name for group in plan.groups.values() for name in group}
    if unknown := sorted(named - set(known)):
        raise DataError(f"{plan.sheets}: has no class {unknown[0]}")
    rest = [name for name in sorted(known) if name not in named]
    order = [rest[i] for i in np.random.default_rng(plan.draw).permutation(len(rest))]
    drawn = plan.random_groups * plan.random_classes
    if plan.classes + drawn > len(order):
        raise DataError(
            f"{plan.sheets}: {plan.classes} classes upstream and {drawn} in random groups are more "
            f"than the {len(order)} that no other group has"
        )
    groups = {name: list(ids) for name, ids in plan.groups.items()}
    for number in range(plan.random_groups):
        first = plan.classes + number * plan.random_classes
        groups[f"random-{number}"] = sorted(order[first : first + plan.random_classes])
    return sorted(order[: plan.classes]), groups


def make(plan: Plan, data: Path, out: Path) -> None:
    """Write all data sets, and last ``made.json``."""
    source = data / plan.sheets
    sheets = {path.stem: path for path in sorted((source / "train").glob("*.jpg"))}
    if not sheets:
        raise DataError(f"{source}/train: no sheets found; --data names the folder above")
    upstream, groups = parted(plan, list(sheets))
    shutil.rmtree(out, ignore_errors=True)
    for split in ("train", "val"):
        (out / "upstream" / split).mkdir(parents=True)
        for name in upstream:
            shutil.copy(source / split / f"{name}.jpg", out / "upstream" / split)
    splits = load_sheets(out / "upstream", plan.tile)
    chosen = np.random.default_rng(plan.draw).permutation(len(splits.train))[:CALIBRATION]
    _write(out / "calibration", [splits.train[i] for i in chosen])
    if plan.upstream_photos is not None:
        shutil.rmtree(out / "upstream")
        _write_group(plan.upstream_photos, plan, source, upstream, out / "upstream")
    for group, names in groups.items():
        _write_group(plan.photos, plan, source, names, out / group)
    for name, folder in plan.folders.items():
        if not (data / folder).is_dir():
            raise DataError(f"{data / folder}: no such folder, and the plan's task {name} is there")
    if plan.digits:
        from edgetransfer.jobs.demo import write_digits

        write_digits(out / "digits")
    made = {"upstream": upstream, "groups": groups}
    write_atomically(out / "made.json", json.dumps(made, indent=1).encode())


def _write_group(photos: int, plan: Plan, source: Path, names: list[str], out: Path) -> None:
    """The first training tiles of each class as ``train``, all validation tiles as ``test``."""
    work = out.with_name("sheets")
    for split in ("train", "val"):
        (work / split).mkdir(parents=True)
        for name in names:
            shutil.copy(source / split / f"{name}.jpg", work / split)
    splits = load_sheets(work, plan.tile)
    for split, samples in (("train", splits.train), ("test", splits.val)):
        for label, name in enumerate(splits.classes):
            own = [sample for sample in samples if sample.label == label]
            _write(out / split / name, own[:photos] if split == "train" else own)
    shutil.rmtree(work)


def _write(folder: Path, samples: Sequence[Sample]) -> None:
    folder.mkdir(parents=True)
    for number, sample in enumerate(samples):
        (folder / f"{number:04d}.png").write_bytes(sample.read())


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    make(read_plan(given.plan), given.data, given.out)


if __name__ == "__main__":
    main()
