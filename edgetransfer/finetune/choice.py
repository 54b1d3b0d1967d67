"""What the run holds: the finetuned network, or the backbone as it was with a linear head.

Finetuning on few photos can end below the linear head that it began from. Both are judged on
photos that neither learned from, so that nobody is handed less than `train` would have given.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.writing import write_backbone
from edgetransfer.engines import Engine
from edgetransfer.finetune.context import Context
from edgetransfer.heads import LinearHead
from edgetransfer.reports.shared import Accuracies
from edgetransfer.reports.train import MetricName
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import BACKBONE

logger = logging.getLogger(__name__)

LINEAR, FINETUNED = "linear", "finetuned"


@dataclass(frozen=True, kw_only=True)
class Held:
    """A backbone that was written into the run, opened in an engine, and the head on it."""

    backbone: Backbone
    engine: Engine
    head: LinearHead


def hold_linear(context: Context, run: RunFolder) -> Held:
    """Write the backbone as it was in place of the finetuned one, and fit a head to all photos."""
    whole = context.backbone
    card = replace(whole.card, features=whole.body.graph.output[0].name, parent=whole.sha256)
    written = write_backbone(whole.body, card, run.file(BACKBONE), made_from=whole.path)
    engine = context.open(written.frozen(context.training.batch_size))
    splits = context.splits
    with context.extractor(engine) as extractor:
        head = context.fitted_head(extractor, "features", samples=[*splits.train, *splits.val])
    return Held(backbone=written, engine=engine, head=head)


def say_linear(
    linear: Accuracies, finetuned: Accuracies, metric: MetricName, kept: str, photos: int
) -> str:
    """A sentence for the log and the report: who was better, and what the run holds."""
    text = (
        f"finetuning did not beat a linear head on the backbone as it was: {finetuned[metric]:.1%} "
        f"against {linear[metric]:.1%} of {photos} photos that neither learned from. "
    )
    if kept == LINEAR:
        text += "So the run holds the linear head; --resume --keep finetuned takes the other"
    else:
        text += "Use `edgetransfer train`, or more epochs, or another --learning-rate"
    logger.warning("%s", text)
    return text
