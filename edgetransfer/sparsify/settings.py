"""What a sparsification is asked to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from edgetransfer.errors import UsageError
from edgetransfer.paths import take_strings
from edgetransfer.reprs import short_repr
from edgetransfer.sparsify.patterns import Pattern
from edgetransfer.types import Interpolation

Method = Literal["reconstruct", "magnitude"]
Distribution = Literal["uniform", "erk", "global", "time"]

MOST_SPARSE = 0.98


@dataclass(frozen=True, kw_only=True)
class Sparsification:
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
    features, size, resize, mean, std, interpolation, normalisation
        As in `Backbone.open`.
    """

    dense: str
    out: Path
    calibration: Path | None = None
    sparsity: float | None = None
    target_speedup: float | None = None
    method: Method = "reconstruct"
    distribution: Distribution | None = None
    pattern: str = "unstructured"
    calibration_images: int = 512
    views: int = 2
    refine_minutes: float = 0.0
    evaluate: Path | None = None
    seed: int = 0
    memory: int = 3 * 2**29
    engine: str = "auto"
    threads: int | None = None
    batch_size: int = 64
    features: str | None = None
    size: int | None = None
    resize: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: Interpolation | None = None
    normalisation: str | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        take_strings(self, "out", "calibration", "evaluate")
        if self.method not in get_args(Method):
            raise UsageError(f"--method is reconstruct or magnitude, not {self.method!r}")
        if self.distribution not in (None, *get_args(Distribution)):
            raise UsageError(
                f"--distribution is one of {', '.join(get_args(Distribution))}, not "
                f"{self.distribution!r}"
            )
        if self.sparsity is not None and not 0 < self.sparsity <= MOST_SPARSE:
            raise UsageError(
                f"--sparsity lies above 0 and at most at {MOST_SPARSE}, not {self.sparsity:g}"
            )
        self._check_target()
        if self.calibration_images < 1 or self.views < 1 or self.refine_minutes < 0:
            raise UsageError("numbers of images, views and minutes are not negative")
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
        if self.target_speedup <= 1:
            raise UsageError(f"--target-speedup lies above 1, not at {self.target_speedup:g}")

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
        return "time" if self.target_speedup is not None else "uniform"

    def deciding(self) -> dict[str, Any]:
        """The settings that decide the result, as plain values."""
        left_out = ("out", "memory", "refine_minutes", "evaluate")
        return {k: str(v) for k, v in asdict(self).items() if k not in left_out}
