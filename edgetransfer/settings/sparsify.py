"""What a sparsification is asked to do."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.forms import BYTES
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import BackboneReading, Engine, Seed, Threads

Method = Literal["reconstruct", "magnitude"]
Distribution = Literal["uniform", "erk", "global", "time"]

MOST_SPARSE = 0.98
_FIT = "Calibration"


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """Which zeros are allowed.

    Parameters
    ----------
    keep, block
        Of every ``block`` weights that follow one another along the input channels, at most
        ``keep`` stay; None for unstructured sparsity.
    """

    keep: int | None = None
    block: int | None = None

    __repr__ = short_repr

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """``unstructured``, or ``N:M`` such as ``2:4``.

        Raises
        ------
        UsageError
            If it is neither.
        """
        if text == "unstructured":
            return cls()
        found = re.fullmatch(r"(\d+):(\d+)", text)
        if found is None or not 0 < int(found[1]) < int(found[2]):
            raise UsageError(f"--pattern is unstructured or N:M with N below M, not {text!r}")
        return cls(keep=int(found[1]), block=int(found[2]))

    @property
    def sparsity(self) -> float | None:
        """The share of zeros that the pattern fixes; None where it does not."""
        if self.keep is None or self.block is None:
            return None
        return 1 - self.keep / self.block


@dataclass(frozen=True, kw_only=True)
class Sparsification(BackboneReading):
    """The settings of one sparsification.

    Parameters
    ----------
    dense
        The backbone to prune: an ONNX file, or a bundled backbone.
    out
        The ONNX file to write.
    calibration
        A folder of photos, labels not needed; `reconstruct` cannot do without.
    sparsity
        The share of the pruned layers' weights that are to be zero, 0 to 1; ``0.75`` if neither
        it nor ``target_speedup`` is given.
    target_speedup
        Images a second of the sparse backbone over those of the dense one; spread as ``time``.
    method
        ``reconstruct`` or ``magnitude``.
    distribution
        Over the layers: ``uniform``, ``erk``, ``global`` or ``time``.
    pattern
        ``unstructured``, or ``N:M``.
    calibration_images
        How many of the photos to use.
    views
        How many views of each are shown, the eval view being the first.
    refine_minutes
        How long to train what is left towards the dense features; needs torch.
    evaluate
        Labelled photos on which the dense and the sparse network are tested with their own
        classifier; not used to prune.
    seed
        Of the choice of photos, their views and the sampled positions.
    memory
        Bytes for tensors that are kept between layers.
    engine, threads, batch_size
        Of the speed measurements; threads also of the rest.

    Examples
    --------
    >>> from edgetransfer import Sparsification
    >>> asked = Sparsification(dense="dense.onnx", out="sparse.onnx", calibration="photos")
    >>> asked.target_sparsity, asked.distribution_name
    (0.75, 'uniform')
    """

    dense: Annotated[
        str,
        Opt("The ONNX file to prune, or a bundled backbone.", metavar="DENSE", positional=True),
    ]
    out: Annotated[Path, Opt("The ONNX file to make.", metavar="FILE", flag="--out -o")]
    calibration: Annotated[
        Path | None,
        Opt("A folder of photos such as the backbone is to see; no labels needed.", metavar="DIR"),
    ] = None
    sparsity: Annotated[
        float | None,
        Opt(
            "Share of the pruned layers' weights to be zero. Default: 0.75. The first and "
            "depthwise convolutions stay dense.",
            metavar="SHARE",
            above=0,
            most=MOST_SPARSE,
        ),
    ] = None
    target_speedup: Annotated[
        float | None,
        Opt(
            "Images a second over those of the dense backbone, in place of --sparsity.",
            metavar="X",
            above=1,
        ),
    ] = None
    method: Annotated[
        Method,
        Opt(
            "reconstruct: choose and refit layer by layer; magnitude: the largest weights as they "
            "are, with batch-norm tuned on --calibration if that is given."
        ),
    ] = "reconstruct"
    distribution: Annotated[
        Distribution | None,
        Opt(
            "How zeros are spread over the layers. Default: uniform; global with --method "
            "magnitude; time with --target-speedup."
        ),
    ] = None
    pattern: Annotated[
        str,
        Opt(
            "N:M leaves N of every M weights along the input channels.",
            metavar="unstructured|N:M",
        ),
    ] = "unstructured"
    refine_minutes: Annotated[
        float,
        Opt(
            "Then train what is left towards the dense features; needs the finetune extra.",
            metavar="MINUTES",
            flag="--refine",
        ),
    ] = 0.0
    evaluate: Annotated[
        Path | None,
        Opt(
            "Labelled photos to test both networks' own classifier on, before and after.",
            metavar="DIR",
        ),
    ] = None
    calibration_images: Annotated[
        int, Opt("How many photos to use.", metavar="N", panel=_FIT, least=1)
    ] = 512
    views: Annotated[int, Opt("Views shown of each photo.", metavar="N", panel=_FIT, least=1)] = 2
    memory: Annotated[
        int,
        Opt(
            "For what is kept between layers; less takes longer.",
            metavar="SIZE",
            panel=_FIT,
            parse=BYTES,
        ),
    ] = 3 * 2**29
    seed: Seed = 0
    batch_size: Annotated[int, Opt("Of the speed measurements.", metavar="N", least=1)] = 64
    engine: Engine = "auto"
    threads: Threads = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        self._check_target()
        if not self.refine_minutes >= 0:
            raise UsageError(f"--refine is a number of minutes, not {self.refine_minutes}")
        if self.calibration is None and (self.method == "reconstruct" or self.refine_minutes):
            raise UsageError(
                "--calibration is missing: a folder of photos, without labels, of the kind that "
                "the backbone is to see"
            )
        fixed = self.parsed_pattern.sparsity
        if fixed is not None and (self.target_speedup is not None or self.distribution is not None):
            raise UsageError(f"--pattern {self.pattern} fixes every layer's sparsity")
        if fixed is not None and self.sparsity not in (None, fixed):
            raise UsageError(f"--pattern {self.pattern} has a sparsity of {fixed:g}")

    def _check_target(self) -> None:
        if self.target_speedup is None:
            return
        if self.sparsity is not None:
            raise UsageError("--sparsity and --target-speedup exclude each other")
        if self.distribution not in (None, "time"):
            raise UsageError("--target-speedup is reached by --distribution time alone")

    @property
    def parsed_pattern(self) -> Pattern:
        """The pattern of zeros."""
        return Pattern.parse(self.pattern)

    @property
    def target_sparsity(self) -> float:
        """The share of zeros in the pruned layers, where it is not the speed that is given."""
        fixed = self.parsed_pattern.sparsity
        if fixed is not None:
            return fixed
        return 0.75 if self.sparsity is None else self.sparsity

    @property
    def distribution_name(self) -> Distribution:
        """How zeros are spread: as asked for, or by what the target is."""
        if self.distribution is not None:
            return self.distribution
        if self.target_speedup is not None:
            return "time"
        return "global" if self.method == "magnitude" else "uniform"

    def deciding(self) -> dict[str, Any]:
        """The settings that decide the result, as plain values."""
        left_out = ("out", "memory", "refine_minutes", "evaluate")
        return {k: str(v) for k, v in asdict(self).items() if k not in left_out}
