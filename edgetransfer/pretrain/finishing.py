"""What is looked at when a network is trained: its ONNX file, and how it takes being pruned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from edgetransfer.backbones import Backbone
from edgetransfer.engines import open_engine, reference_kind
from edgetransfer.errors import EdgeTransferError
from edgetransfer.finetune.batchnorm_tuning import has_batchnorm, tune_batchnorm
from edgetransfer.finetune.checking import AGREED, COMPARED, difference_of
from edgetransfer.pretrain.compressions import Compression, NOfM, Rounding, TopK
from edgetransfer.pretrain.network import Network
from edgetransfer.pretrain.photos import TUNING_EPOCH, Photos
from edgetransfer.settings.policy_options import levels_of
from edgetransfer.settings.pretrain import Pretraining
from edgetransfer.settings.sparsify import Pattern

if TYPE_CHECKING:
    from edgetransfer.pretrain.trainer import Trainer

TUNING_BATCH = 128  # thesis 5.4


def tuning_views(photos: Photos, count: int) -> Iterator[Tensor]:
    """Augmented training views to tune batch-norm on, in batches of equal size."""
    side = photos.extractor.preprocessing.size
    size = min(TUNING_BATCH, count)
    for images, _ in photos.drawn(-(-count // size), size, 0, epoch=TUNING_EPOCH):
        yield torch.from_numpy(images.reshape(-1, 3, side, side))


def tuned(net: Network, photos: Photos, settings: Pretraining) -> int:
    """Tune a network's batch-norm on training views; returns how many."""
    views = (
        view.to(net.device, memory_format=torch.channels_last)
        for view in tuning_views(photos, settings.tuning_images)
    )
    return tune_batchnorm(net.module, views)


def one_shot_table(net: Network, judge: Trainer, settings: Pretraining) -> list[dict[str, Any]]:
    """Accuracy after pruning at once, without and with batch-norm tuning (thesis, table C.1).

    The network is afterwards as it was.
    """
    before = net.values
    rows: list[dict[str, Any]] = []
    for name, compression in _asked(net, settings):
        with torch.no_grad():
            weights, _ = compression(net.prunable)
            for key, value in weights.items():
                net.parameters[key].copy_(value)
        row: dict[str, Any] = {"level": name, "sparsity": net.sparsity}
        row["untuned"] = judge.judged()
        if has_batchnorm(net.module):
            tuned(net, judge.photos, settings)
            row["tuned"] = judge.judged()
        rows.append(row)
        net.load(before)
    return rows


def _asked(net: Network, settings: Pretraining) -> Iterator[tuple[str, Compression]]:
    for level in settings.one_shot_levels:
        yield f"{level:.0%}", TopK(sparsity=level)
    if settings.one_shot is not None:
        return
    bits = settings.option("bits")
    if bits is not None:
        yield f"{bits} bits", Rounding(bits=bits, layers=net.layers)
    levels = settings.option("levels")
    patterns = [Pattern.parse(settings.option("pattern", "unstructured"))]
    patterns += [one for one in levels_of(levels) if isinstance(one, Pattern)] if levels else []
    for pattern in patterns:
        if pattern.keep is not None:
            yield f"{pattern.keep}:{pattern.block}", NOfM(pattern=pattern, layers=net.layers)


@torch.no_grad()
def uneven_features(written: Backbone, net: Network, photos: Photos) -> float | None:
    """How far a written file's features in the reference engine are from torch's.

    Returns
    -------
    The largest difference over the largest feature, on up to 16 photos; None if there are none.

    Raises
    ------
    EdgeTransferError
        If rounding does not explain it.
    """
    side = photos.extractor.preprocessing.size
    rows = [rows for rows, _ in photos.eval_views(photos.splits.train[:COMPARED])]
    if not rows:
        return None
    images = np.concatenate(rows).reshape(-1, 3, side, side)
    net.module.eval()
    fast, net.bfloat16 = net.bfloat16, False
    ours = net(torch.from_numpy(images))[0].cpu().numpy()
    net.bfloat16 = fast
    engine = open_engine(written.frozen(len(images)), engine=reference_kind().name)
    found = difference_of(ours, engine.run(images))
    engine.close()
    if not found <= AGREED:
        raise EdgeTransferError(
            f"{written.path}: the written network's features differ from torch's by {found:.2g} of "
            "the largest one. Please report this network"
        )
    return found
