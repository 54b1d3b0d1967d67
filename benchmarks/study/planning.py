"""A plan of the study, as its TOML file says it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgetransfer.errors import DataError
from edgetransfer.settings.policies import POLICIES


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network that is trained upstream.

    Parameters
    ----------
    name
        Of its file, without the seed.
    policy, sparsity
        As ``pretrain`` takes them; the sparsity is None where the policy takes none.
    options
        Of ``pretrain``, beside those that all networks have.
    one_shot
        Sparsities that it is pruned to at once afterwards, each a network of its own.
    """

    name: str
    policy: str
    sparsity: float | None
    options: dict[str, Any]
    one_shot: tuple[float, ...] = ()

    @property
    def pruned(self) -> dict[str, float]:
        """The names of what is pruned of it, with their sparsities."""
        return {f"{self.name}-{percent(share)}": share for share in self.one_shot}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained, and on what it is tested.

    Parameters
    ----------
    sheets
        The folder of sheets below the data folder, with ``train`` and ``val``.
    tile
        Side of a tile, in pixels.
    classes
        How many classes are upstream; none of them is in a group.
    upstream_photos
        Training tiles of each class upstream; None for all of the sheets.
    training
        Options of ``pretrain`` that all networks have: equal budgets.
    groups
        Names of classes by the name of a downstream task.
    random_groups, random_classes, draw
        How many tasks of how many classes are drawn from what is left, and by which seed.
    photos
        Training tiles of each class of a group.
    folders
        Further tasks: class folders below the data folder.
    digits
        Whether handwritten digits are a task.
    comparison
        Options of ``compare``.
    """

    text: str
    seeds: tuple[int, ...]
    sheets: str
    tile: int
    classes: int
    training: dict[str, Any]
    networks: tuple[Trained, ...]
    groups: dict[str, tuple[str, ...]]
    upstream_photos: int | None
    random_groups: int
    random_classes: int
    draw: int
    photos: int
    folders: dict[str, str] = field(default_factory=dict)
    digits: bool = True
    comparison: dict[str, Any] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The downstream tasks, the general ones first."""
        drawn = [f"random-{number}" for number in range(self.random_groups)]
        own = ["digits"] if self.digits else []
        return (*drawn, *self.folders, *own, *self.groups)


def percent(share: float) -> str:
    """``0.95`` as ``95``."""
    return f"{100 * share:g}"


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises
    ------
    DataError
        If it is no plan: which key, and what is wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: is no plan: {error}") from error
    try:
        upstream, downstream = found["upstream"], found["downstream"]
        drawn = downstream.get("random", {})
        plan = Plan(
            text=text,
            seeds=tuple(int(seed) for seed in found["seeds"]),
            sheets=upstream["sheets"],
            tile=int(upstream["tile"]),
            classes=int(upstream["classes"]),
            training=dict(upstream["training"]),
            networks=tuple(one for policy in found["policies"] for one in _trained(policy)),
            groups={name: tuple(ids) for name, ids in downstream.get("groups", {}).items()},
            upstream_photos=int(upstream["photos"]) if "photos" in upstream else None,
            random_groups=int(drawn.get("groups", 0)),
            random_classes=int(drawn.get("classes", 0)),
            draw=int(drawn.get("seed", 0)),
            photos=int(downstream["photos"]),
            folders=dict(downstream.get("folders", {})),
            digits=bool(downstream.get("digits", False)),
            comparison=dict(found.get("comparison", {})),
        )
    except KeyError as error:
        raise DataError(f"{path}: lacks the key {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: is no plan: {error}") from error
    _check(path, plan)
    return plan


def _trained(policy: dict[str, Any]) -> list[Trained]:
    name, options = policy["name"], dict(policy.get("options", {}))
    if name not in POLICIES:
        raise ValueError(f"there is no policy {name!r}; there are {', '.join(POLICIES)}")
    shares = policy.get("sparsities", [])
    if not shares:
        pruned = tuple(float(share) for share in policy.get("one-shot", []))
        return [Trained(name=name, policy=name, sparsity=None, options=options, one_shot=pruned)]
    # Where a policy takes no sparsity, an option of its own says how sparse: a list, one for each.
    varied = {key: values for key, values in options.items() if isinstance(values, list)}
    short = next((key for key, values in varied.items() if len(values) != len(shares)), None)
    if short is not None:
        raise ValueError(f"{name}: {short} is a list, which has a value for each sparsity")
    takes = "sparsity" in POLICIES[name].options
    return [
        Trained(
            name=f"{name}-{percent(share)}",
            policy=name,
            sparsity=float(share) if takes else None,
            options={**options, **{key: values[at] for key, values in varied.items()}},
        )
        for at, share in enumerate(shares)
    ]


def _check(path: Path, plan: Plan) -> None:
    names = [one.name for one in plan.networks] + [n for one in plan.networks for n in one.pruned]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: {twice} is there twice")
    if "dense" not in names or len(names) < 2:
        raise DataError(f"{path}: policies: dense, which errors are related to, and another one")
    if not plan.seeds or not plan.tasks:
        raise DataError(f"{path}: at least one seed and one downstream task are needed")
    ids = [name for group in plan.groups.values() for name in group]
    if len(set(ids)) < len(ids):
        raise DataError(f"{path}: a class is in two groups")
