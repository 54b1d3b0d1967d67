"""Batch-norm tuned after magnitude pruning, also where it is folded into the convolutions.

A folded batch-norm is put back first, with the statistics that its convolution has in the dense
network on the same photos; then all statistics are measured anew in the pruned one, and what was
put back is folded again. So each channel has the mean and the deviation that it had before pruning,
as with `edgetransfer.finetune.batchnorm_tuning` where batch-norm was kept. torch does it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx

from edgetransfer.graphs.graph import Graph
from edgetransfer.settings.sparsify import Sparsification
from edgetransfer.sparsify.photos import CalibrationViews, held_out_count, tuning_views
from edgetransfer.sparsify.weights import NetworkWeights
from edgetransfer.types import Preprocessing, Progress

BATCH = 100
TUNING_VIEWS = 1000  # standard training views (thesis 5.3.3)


def views_beside(
    settings: Sparsification, photos: Sequence[Path], seen: Preprocessing, progress: Progress
) -> CalibrationViews:
    """Views of all photos of the folder but those that features are compared on."""
    used = min(settings.calibration_images, len(photos))
    return tuning_views(
        photos[held_out_count(used) :],
        seen,
        count=TUNING_VIEWS,
        seed=settings.seed,
        workers=settings.threads,
        progress=progress,
    )


def tune(
    dense: onnx.ModelProto, pruned: onnx.ModelProto, views: CalibrationViews
) -> dict[str, Any]:
    """Tune a frozen pruned network, in place; returns a record.

    Parameters
    ----------
    dense
        The network before it was pruned.
    views
        Those that are fitted to are used.
    """
    import torch

    from edgetransfer.finetune.batchnorm import bare_convolutions, fold, restore
    from edgetransfer.finetune.batchnorm_tuning import tune_batchnorm
    from edgetransfer.finetune.module import OnnxModule
    from edgetransfer.finetune.moments import output_moments

    def batches() -> Iterator[torch.Tensor]:
        # Of equal size, for each counts as much.
        count = max(1, round(views.fitted / BATCH))
        edges = [views.fitted * i // count for i in range(count + 1)]
        for begin, end in itertools.pairwise(edges):
            yield torch.from_numpy(views.normalised(begin, end - begin))

    biased = {
        node.input[1]
        for node in pruned.graph.node
        if node.op_type == "Conv" and len(node.input) > 2 and node.input[2]
    }
    bare = {name: out for name, out in bare_convolutions(pruned).items() if name in biased}
    statistics = output_moments(dense, bare, batches())
    restored = restore(pruned, statistics)
    module = OnnxModule(restored)
    seen = tune_batchnorm(module, batches())
    tuned = fold(module.write_into(restored), only=frozenset(statistics))
    weights, graph = NetworkWeights(pruned), Graph(tuned)
    for tensor in list(pruned.graph.initializer):
        value = graph.array(tensor.name) if tensor.name in graph.initializers else None
        if value is not None and tensor.data_type == onnx.TensorProto.FLOAT:
            weights.set_array(tensor.name, value)
    return {"views": seen, "restored": len(statistics)}
