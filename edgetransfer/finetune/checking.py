"""What a finetuning measures about its own result, and what follows from it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from edgetransfer.backbones import Backbone
from edgetransfer.data import Sample
from edgetransfer.engines import engine_kind, open_engine, reference_kind
from edgetransfer.errors import EdgeTransferError, EngineError
from edgetransfer.features import FeatureExtractor
from edgetransfer.types import Float32Array

if TYPE_CHECKING:
    from edgetransfer.finetune.context import Context
    from edgetransfer.finetune.solver import FullFinetuner

logger = logging.getLogger(__name__)

COMPARED = 16  # images that torch and the engine are compared on
AGREED = 1e-3  # of the largest feature: sums in float32 in another order differ by 1e-6 to 1e-4
SURPRISING = 1.5  # times the memory that was estimated


def difference_of(ours: Float32Array, theirs: Float32Array) -> float:
    """The largest difference of two (n, D) arrays over the largest value; nan if one has nan."""
    largest = max(float(np.abs(ours).max()), float(np.abs(theirs).max()))
    return float(np.abs(ours - theirs).max()) / largest if largest else 0.0


def compare_with_torch(
    context: Context,
    exported: Backbone,
    solver: FullFinetuner,
    trained: FeatureExtractor,
    tested: FeatureExtractor,
) -> float | None:
    """The difference of an engine's features of the exported backbone from torch's.

    Parameters
    ----------
    trained, tested
        Bring images to torch, and through the exported backbone in the engine.

    Returns
    -------
    As `difference_of`, on 16 training images; None if none of them can be decoded.

    Raises
    ------
    EngineError
        If the engine is further away than rounding explains, and the reference engine is not.
    EdgeTransferError
        If both are: then the exported file is wrong.
    """
    samples = context.usable(context.splits.train)[:COMPARED]
    with solver.in_float32():
        ours = _rows([solver.features(batch.features) for batch in trained.extract(samples)])
    found = difference_of(ours, _features(tested, samples)) if len(ours) else None
    if found is None or found <= AGREED:
        if len(ours) and not ours.any():
            logger.warning("all features of %d training images are zero: it died", len(samples))
        return found
    name, reference = tested.engine.choice.name, reference_kind()
    if name != reference.name:
        engine = open_engine(exported.frozen(tested.engine.batch_size), engine=reference.name)
        with context.extractor(engine) as other:
            apart = difference_of(ours, _features(other, samples))
        engine.close()
        if apart <= AGREED:
            raise EngineError(
                f"{engine_kind(name).title} makes other features of the finetuned backbone than "
                f"torch (by {found:.2g} of the largest one; {reference.title} by {apart:.1g}): "
                f"its predictions would be wrong. --resume --engine {reference.name} ends this "
                "run; please report this network"
            )
    raise EdgeTransferError(
        f"{exported.path}: the exported backbone's features differ from torch's by {found:.2g} of "
        "the largest one, so the run is not finished. Please report this network"
    )


def _features(extractor: FeatureExtractor, samples: list[Sample]) -> Float32Array:
    return _rows([batch.features for batch in extractor.extract(samples)])


def _rows(parts: list[Float32Array]) -> Float32Array:
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def check_zeros(path: object, violations: int) -> None:
    """Masked weights are zero in what was exported.

    Raises
    ------
    EdgeTransferError
        If some are not.
    """
    if violations:
        raise EdgeTransferError(
            f"{path}: {violations} weights that were zero are not zero after the training, so the "
            "run is not finished. Please report this network"
        )


def doubts(*, estimated: int, taken: int) -> list[str]:
    """What a person should know of how a finetuning went, given the bytes of memory."""
    if taken <= SURPRISING * estimated:
        return []
    text = (
        f"it took {taken / 2**30:.1f} GiB of memory, where {estimated / 2**30:.1f} GiB were "
        "estimated: the estimate does not hold for this network"
    )
    logger.warning("%s", text)
    return [text]
