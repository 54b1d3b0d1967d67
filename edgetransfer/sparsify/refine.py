"""``--refine``: what is left is trained towards the dense features; torch does it in `finetune`."""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx

from edgetransfer.errors import DataError, EdgeTransferError, ImageError
from edgetransfer.images import TrainTransform, normalise, open_upright, render, view_rng
from edgetransfer.reports.sparsify import RefinementRecord
from edgetransfer.settings.sparsify import Sparsification
from edgetransfer.sparsify.photos import CalibrationViews
from edgetransfer.sparsify.weights import NetworkWeights
from edgetransfer.types import Float32Array, Preprocessing, Progress

BATCH = 16
AHEAD = 2 * BATCH  # views that are decoded before they are needed
LEAST_AREA = 0.25  # of a photo that a view covers
FIRST_EPOCH = 1 << 20  # so that no view is one of the calibration's


def check_torch(dense: onnx.ModelProto, what: str) -> None:
    """Refuse early what could not be done in the end.

    Parameters
    ----------
    what
        The option that needs torch, and its verb.

    Raises
    ------
    EdgeTransferError
        If torch is not installed.
    BackboneError
        If the graph has an operator that is not known in torch.
    """
    if not _has_torch():
        raise EdgeTransferError(
            f"{what} with torch, which is not installed: pip install 'edgetransfer[finetune]', or "
            "leave that away"
        )
    from edgetransfer.finetune.module import OnnxModule

    OnnxModule(dense)


def refine(
    settings: Sparsification,
    dense: onnx.ModelProto,
    pruned: onnx.ModelProto,
    photos: Sequence[Path],
    views: CalibrationViews,
    folder: Path,
    progress: Progress,
) -> RefinementRecord:
    """Train the pruned network for ``settings.refine_minutes``, in place; returns a record.

    Parameters
    ----------
    photos
        What to train on, none of them held out.
    folder
        For the checkpoint.
    """
    from edgetransfer.finetune.distill import distill, inner_tensors

    stream = ViewStream(photos, views.preprocessing, settings.seed, settings.threads)
    held_out = [
        views.normalised(first, min(BATCH, len(views) - first))
        for first in range(views.fitted, len(views), BATCH)
    ]
    if not held_out:
        raise DataError("--refine needs held-out photos to stop by: give more photos")
    try:
        found = distill(
            dense,
            pruned,
            stream.batches,
            held_out,
            minutes=settings.refine_minutes,
            inner=inner_tensors(dense),
            folder=folder,
            threads=settings.threads,
            progress=progress,
        )
    finally:
        stream.close()
    weights = NetworkWeights(pruned)
    for name, value in found.values.items():
        weights.set_array(name, value)
    return {
        "minutes": settings.refine_minutes,
        "steps": found.steps,
        "views": found.images,
        "photos": len(photos),
        "held_out_error": {"before": found.before, "after": found.after},
    }


class ViewStream:
    """Augmented views of photos without end, decoded ahead; view i of epoch e is always the same.

    Parameters
    ----------
    photos
        Their files; those that cannot be decoded are passed over.
    workers
        Decoding threads; one if None, because training takes the rest.
    """

    def __init__(
        self,
        photos: Sequence[Path],
        preprocessing: Preprocessing,
        seed: int,
        workers: int | None = None,
    ) -> None:
        self._photos = photos
        self._preprocessing = preprocessing
        self._seed = seed
        self._transform = TrainTransform(size=preprocessing.size, area=(LEAST_AREA, 1.0))
        self._pool = ThreadPoolExecutor(workers or 1, thread_name_prefix="edgetransfer-refine")

    def close(self) -> None:
        """Stop decoding."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def batches(self, first: int) -> Iterator[Float32Array]:
        """Batches (16, 3, S, S) from the given one on, without end.

        Raises
        ------
        DataError
            If a whole epoch has no photo that can be decoded.
        """
        numbers = iter(range(first * BATCH, 1 << 62))
        ahead: deque[Future[Float32Array | None]] = deque()
        rows: list[Float32Array] = []
        missed = 0
        while True:
            while len(ahead) < AHEAD:
                ahead.append(self._pool.submit(self._view, next(numbers)))
            view = ahead.popleft().result()
            missed = missed + 1 if view is None else 0
            if missed > len(self._photos):
                raise DataError("none of the photos to refine with can be decoded")
            if view is not None:
                rows.append(view)
            if len(rows) == BATCH:
                yield np.stack(rows)
                rows = []

    def _view(self, number: int) -> Float32Array | None:
        epoch, place = divmod(number, len(self._photos))
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._photos))
        index = int(order[place])
        try:
            picture = open_upright(self._photos[index])
        except (ImageError, OSError):
            return None
        rng = view_rng(self._seed, FIRST_EPOCH + epoch, index)
        view = self._transform.view(*picture.size, rng)
        pixels = render(picture, view, picture.size, self._preprocessing)
        out = np.empty((3, pixels.height, pixels.width), np.float32)
        normalise(pixels, self._preprocessing, out)
        return out


def _has_torch() -> bool:
    try:
        return importlib.util.find_spec("torch") is not None
    except ValueError:  # taken out of the way
        return False
