"""How a network takes being pruned at once, with and without batch-norm tuning (thesis 5.3.3)."""

from __future__ import annotations

import numpy as np

from edgetransfer.backbones import Backbone
from edgetransfer.data import Sample
from edgetransfer.jobs.analysing.heads import Answers, Bench
from edgetransfer.reports.analyse import OneShotHeadsRecord, OneShotLevelRecord
from edgetransfer.settings.analyse import AnalysisSettings
from edgetransfer.sparsify.at_once import pruned_at_once
from edgetransfer.sparsify.photos import CalibrationViews, tuning_views
from edgetransfer.types import Progress


def one_shot(
    settings: AnalysisSettings,
    bench: Bench,
    network: str,
    backbone: Backbone,
    dense: Answers,
    progress: Progress,
) -> list[OneShotLevelRecord]:
    """Prune a network to each level, and test it by its old head and by one of its own.

    Parameters
    ----------
    dense
        Of the network as it is.
    """
    views = _views(settings, bench, backbone, progress)
    found: list[OneShotLevelRecord] = []
    for number, level in enumerate(settings.levels):
        progress(f"{backbone.name} pruned at once", number, len(settings.levels))
        untuned = pruned_at_once(backbone, level)
        tuned = pruned_at_once(backbone, level, views)
        found.append(
            {
                "sparsity": level,
                "untuned": _tested(bench, network, untuned, dense),
                "tuned": _tested(bench, network, tuned, dense),
            }
        )
    return found


def _views(
    settings: AnalysisSettings, bench: Bench, backbone: Backbone, progress: Progress
) -> CalibrationViews:
    """Of training photos alone, in an order that the seed decides."""
    train = bench.splits.train
    order = np.random.default_rng((settings.seed, len(train))).permutation(len(train))
    drawn: list[Sample] = [train[i] for i in order[: settings.tuning_images]]
    return tuning_views(
        [sample.content for sample in drawn],
        backbone.preprocessing,
        count=settings.tuning_images,
        seed=settings.seed,
        workers=settings.workers or settings.threads,
        progress=progress,
    )


def _tested(bench: Bench, network: str, pruned: Backbone, dense: Answers) -> OneShotHeadsRecord:
    own = bench.answers(network, pruned)
    return {
        "kept_head": bench.accuracy(own.labels, dense.head.logits(own.features)),
        "own_head": bench.accuracy(own.labels, own.logits),
    }
