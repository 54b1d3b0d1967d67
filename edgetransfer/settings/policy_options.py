"""What the policies of sparse training may be told; `POLICIES` says which takes what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt
from edgetransfer.settings.sparsify import Pattern

Spread = Literal["global", "uniform", "erk"]
Twin = Literal["finetuned", "last", "none"]

_POLICY = "Policy: each takes those of its own"


@dataclass(frozen=True, kw_only=True)
class PolicyOptions:
    """Settings of single policies; None for what is usual with the policy.

    Parameters
    ----------
    distribution
        Over the layers; the policy's if None.
    pattern
        ``unstructured`` or ``N:M``; the policy's if None.
    dense_ends
        Leave the first and last layer and depthwise convolutions dense.
    """

    distribution: Annotated[
        Spread | None,
        Opt("How zeros are spread over the layers. Default: global; erk of rigl.", panel=_POLICY),
    ] = None
    pattern: Annotated[
        str | None,
        Opt(
            "N:M leaves N of every M weights along the input channels.",
            metavar="unstructured|N:M",
            panel=_POLICY,
        ),
    ] = None
    dense_ends: Annotated[
        bool,
        Opt("Leave the first and the last layer and depthwise ones dense.", panel=_POLICY),
    ] = False
    prune_from: Annotated[
        float | None,
        Opt(
            "gmp, woodfisher, mfac, filters: begin after this share of the training. Default: 0.1; "
            "0.5 of filters.",
            metavar="SHARE",
            panel=_POLICY,
            least=0,
            most=1,
        ),
    ] = None
    prune_until: Annotated[
        float | None,
        Opt(
            "gmp, woodfisher, mfac: the target is reached by then. Default: 0.75.",
            metavar="SHARE",
            panel=_POLICY,
            above=0,
            most=1,
        ),
    ] = None
    mask_every: Annotated[
        int | None,
        Opt(
            "Steps between two masks. Default: an epoch of gmp; a tenth of the pruning of "
            "woodfisher and mfac; 100 or less of rigl; 1 of cram.",
            metavar="N",
            panel=_POLICY,
            least=1,
        ),
    ] = None
    phases: Annotated[
        str | None,
        Opt(
            "acdc: epochs of warm-up, sparse, dense, last dense, last sparse phase. Default: "
            "10,5,5,10,15, in proportion below 100 epochs.",
            metavar="W,S,D,LD,LS",
            panel=_POLICY,
        ),
    ] = None
    twin: Annotated[
        Twin | None,
        Opt(
            "acdc: the dense twin; finetuned (usual): trained densely where the last sparse phase "
            "began, as long as that; last: as it was there.",
            panel=_POLICY,
        ),
    ] = None
    drop_fraction: Annotated[
        float | None,
        Opt(
            "rigl: share of the weights that first moves; falls along a cosine. Default: 0.3.",
            metavar="SHARE",
            panel=_POLICY,
            above=0,
            most=1,
        ),
    ] = None
    threshold_start: Annotated[
        float | None,
        Opt(
            "str: what the thresholds' sigmoid is first taken of. Default: what --weight-decay "
            "brings to -5 in half of the training.",
            metavar="X",
            panel=_POLICY,
            most=0,
        ),
    ] = None
    fisher_samples: Annotated[
        int | None,
        Opt(
            "woodfisher, mfac: gradients that the Fisher matrix is made of. Default: 64.",
            metavar="N",
            panel=_POLICY,
            least=1,
        ),
    ] = None
    fisher_batch: Annotated[
        int | None,
        Opt("woodfisher, mfac: photos in each. Default: 4.", metavar="N", panel=_POLICY, least=2),
    ] = None
    damping: Annotated[
        float | None,
        Opt(
            "woodfisher, mfac: added to its diagonal. Default: 1e-5.",
            metavar="X",
            panel=_POLICY,
            above=0,
        ),
    ] = None
    block: Annotated[
        int | None,
        Opt("woodfisher: side of its blocks. Default: 50.", metavar="N", panel=_POLICY, least=1),
    ] = None
    rounds: Annotated[
        int | None,
        Opt(
            "lth: rounds of pruning, each as long as the dense training. Default: 5.",
            metavar="N",
            panel=_POLICY,
            least=1,
        ),
    ] = None
    rewind: Annotated[
        float | None,
        Opt(
            "lth: weights go back to where they were after this share of it. Default: 0.05.",
            metavar="SHARE",
            panel=_POLICY,
            least=0,
            most=0.9,
        ),
    ] = None
    rho: Annotated[
        float | None,
        Opt(
            "sam, cram, c-sam: length of the step up. Default: 0.05.",
            metavar="X",
            panel=_POLICY,
            above=0,
        ),
    ] = None
    levels: Annotated[
        str | None,
        Opt(
            "cram and its kind: draw one of these each step, percents or N:M. Default: 50,70,90 of "
            "cram+-multi.",
            metavar="A,B,…",
            panel=_POLICY,
        ),
    ] = None
    bits: Annotated[
        int | None,
        Opt(
            "cram and its kind: compress by rounding to so many bits a channel, in place of zeros.",
            metavar="N",
            panel=_POLICY,
            least=2,
            most=8,
        ),
    ] = None
    sparse_gradients: Annotated[
        bool | None,
        Opt(
            "cram and its kind: the pruned network's gradient counts on its own weights alone. "
            "Default: yes, but of cram and top-k.",
            panel=_POLICY,
        ),
    ] = None
    __repr__ = short_repr


def levels_of(text: str) -> tuple[float | Pattern, ...]:
    """``50,70`` or ``2:4,4:8``, as sparsities from 0 to 1 or patterns.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    return tuple(
        Pattern.parse(part) if ":" in part else percents("--levels", part)[0]
        for part in text.split(",")
    )


def phases_of(text: str) -> tuple[float, float, float, float, float]:
    """Five lengths in epochs.

    Raises
    ------
    UsageError
        If they are not five numbers of which the sparse ones are above zero.
    """
    try:
        warm, sparse, dense, last_dense, last_sparse = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--phases: {text!r} is not five numbers of epochs, such as 10,5,5,10,15"
        ) from None
    lengths = (warm, sparse, dense, last_dense, last_sparse)
    if not all(0 <= length < float("inf") for length in lengths) or not (sparse and last_sparse):
        raise UsageError(f"--phases: {text!r}: lengths are not negative, sparse ones above zero")
    return lengths


def percents(flag: str, text: str | None) -> tuple[float, ...]:
    """``50,70`` as shares from 0 to 1.

    Raises
    ------
    UsageError
        If it is none of these; ``flag`` is named.
    """
    try:
        found = tuple(float(part) / 100 for part in text.split(",")) if text else ()
    except ValueError:
        found = (-1.0,)
    if not all(0 < level < 1 for level in found):
        raise UsageError(f"{flag}: {text!r} is not a list of percents, such as 50,70,90")
    return found
