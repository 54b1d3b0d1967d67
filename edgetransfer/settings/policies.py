"""The policies of sparse training: what each is called, where it comes from, what it may be told.

A policy itself is a file of `edgetransfer.pretrain.policies`; this table is light, for ``--help``
and for the check of settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Regularised = Literal["dense", "acdc", "rigl", "str", "sam"]
Progressive = Literal["gmp", "woodfisher", "mfac", "lth", "filters"]
Compressed = Literal["cram", "cram+", "cram+-multi", "c-sam", "top-k", "top-k+"]
PolicyName = Regularised | Progressive | Compressed
CRAM: tuple[Compressed, ...] = get_args(Compressed)

_TARGET: dict[str, Any] = {"sparsity": 0.9, "distribution": "global", "pattern": "unstructured"}
_GRADUAL: dict[str, Any] = {"prune_from": 0.1, "prune_until": 0.75, "mask_every": None}
_FISHER: dict[str, Any] = {"fisher_samples": 64, "fisher_batch": 4, "damping": 1e-5}
_COMPRESSED: dict[str, Any] = {
    "levels": None,
    "sparsity": 0.5,
    "distribution": "global",
    "pattern": "unstructured",
    "bits": None,
    "sparse_gradients": True,
    "mask_every": 1,
}


@dataclass(frozen=True, kw_only=True)
class PolicyRecord:
    """What is known of a policy before it is loaded.

    Parameters
    ----------
    line
        What it does, in a line.
    paper
        Where it is defined.
    options
        The settings that it knows, with their defaults; None where that follows from others.
    """

    line: str
    paper: str
    options: Mapping[str, Any] = field(default_factory=dict)


POLICIES: dict[PolicyName, PolicyRecord] = {
    "dense": PolicyRecord(line="no weight is pruned; the baseline", paper=""),
    "gmp": PolicyRecord(
        line="prunes the smallest weights little by little, by a cubic schedule",
        paper="Zhu, Gupta 2017",
        options={**_TARGET, **_GRADUAL},
    ),
    "acdc": PolicyRecord(
        line="takes turns between sparse and dense phases; makes a dense twin too",
        paper="Peste et al. 2021",
        options={**_TARGET, "phases": None, "twin": "finetuned"},
    ),
    "rigl": PolicyRecord(
        line="always as sparse; drops small weights, grows where gradients are large",
        paper="Evci et al. 2020",
        options={"sparsity": 0.9, "distribution": "erk", "mask_every": None, "drop_fraction": 0.3},
    ),
    "str": PolicyRecord(
        line="learns a threshold for each layer; --weight-decay decides how sparse",
        paper="Kusupati et al. 2020",
        options={"threshold_start": None},
    ),
    "woodfisher": PolicyRecord(
        line="as gmp, by what a weight's loss costs, and the others make up for it",
        paper="Singh, Alistarh 2020",
        options={"sparsity": 0.9, **_GRADUAL, **_FISHER, "block": 50},
    ),
    "mfac": PolicyRecord(
        line="as woodfisher, with the whole inverse Fisher, never written out",
        paper="Frantar et al. 2021",
        options={"sparsity": 0.9, **_GRADUAL, **_FISHER},
    ),
    "lth": PolicyRecord(
        line="finds a mask by pruning and rewinding, and puts it on the dense weights",
        paper="LTH-T, Chen et al. 2021",
        options={"sparsity": 0.9, "distribution": "global", "rounds": 5, "rewind": 0.05},
    ),
    "filters": PolicyRecord(
        line="prunes whole filters of small L1 norm, and cuts them out of the network",
        paper="Li et al. 2017",
        options={"sparsity": 0.5, "prune_from": 0.5},
    ),
    "sam": PolicyRecord(
        line="seeks flat minima; dense, and a little easier to prune",
        paper="Foret et al. 2021",
        options={"rho": 0.05},
    ),
    "cram": PolicyRecord(
        line="dense weights that survive being pruned in one shot",
        paper="Peste et al. 2023",
        options={"rho": 0.05, **_COMPRESSED, "sparse_gradients": False},
    ),
    "cram+": PolicyRecord(
        line="cram, and the dense network's own loss with it",
        paper="Peste et al. 2023",
        options={"rho": 0.05, **_COMPRESSED, "sparsity": 0.7},
    ),
    "cram+-multi": PolicyRecord(
        line="cram+ at a sparsity drawn each step: one file that prunes to any of them",
        paper="Peste et al. 2023",
        options={"rho": 0.05, **_COMPRESSED, "sparsity": None, "levels": "50,70,90"},
    ),
    "c-sam": PolicyRecord(
        line="ablation of cram: the step up is the pruned network's own",
        paper="Peste et al. 2023",
        options={"rho": 0.05, **_COMPRESSED},
    ),
    "top-k": PolicyRecord(
        line="ablation of cram: no step up",
        paper="Peste et al. 2023; Lin et al. 2020",
        options={**_COMPRESSED, "sparse_gradients": False},
    ),
    "top-k+": PolicyRecord(
        line="ablation of cram+: no step up",
        paper="Peste et al. 2023",
        options=_COMPRESSED,
    ),
}
OPTIONS = frozenset(name for record in POLICIES.values() for name in record.options)
"""Every setting that some policy knows and others do not."""
