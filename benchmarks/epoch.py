"""The whole online epoch against the pipelines that people would write instead.

    python benchmarks/epoch.py [--backbone B] [--data DIR] [--images N] [--repeats N]

Ours: ``train --online`` as it runs, backbone at ``--backbone`` (ResNet50 with 90 % random zeros).
Peers, with the dense network of the same architecture, the same train views (area 0.08 to 1, aspect
3/4 to 4/3, flip, bilinear, 224 pixels), batches of 64, and torch's SGD on a linear head:

``torch-loader+onnxruntime``  a torch `Dataset` and `DataLoader` with one worker process a core,
                              Pillow crops as torchvision's, ONNX Runtime on all cores
``torch-loader+openvino``     the same with OpenVINO in float32
``torch-loader+openvino-int8``  the same with OpenVINO on the backbone in int8
``ours+openvino-int8``        our own pipeline and head around OpenVINO in int8

Each contestant's engine is opened and warmed up before; the time is that of one epoch.
"""

from __future__ import annotations

import argparse
import io
import math
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image
from quantising import quantise
from workloads import backbone_of, in_turns, make_photos, median, report, some_photos

from edgetransfer.data import Sample
from edgetransfer.engines import Engine, available_cores, open_engine
from edgetransfer.features import FeatureExtractor, TrainView
from edgetransfer.heads import LinearHead, SGDSettings, SGDSolver
from edgetransfer.types import Preprocessing

BATCH, CLASSES = 64, 101


def our_epoch(
    engine: Engine, preprocessing: Preprocessing, samples: list[Sample]
) -> Callable[[], float]:
    extractor = FeatureExtractor(engine, preprocessing)
    labels = np.arange(len(samples)) % CLASSES
    head = LinearHead.initial(engine.dimension, [str(k) for k in range(CLASSES)], seed=0)
    solver = SGDSolver(head, SGDSettings())

    def measure() -> float:
        start = perf_counter()
        for batch in extractor.extract(samples, train=TrainView(seed=0, epoch=0)):
            solver.step(batch.features, labels[batch.indices], 0.01)
        return perf_counter() - start

    return measure


class TorchStyle:
    """A map-style data set as torch's own examples have it."""

    def __init__(self, samples: list[Sample], preprocessing: Preprocessing) -> None:
        self.samples = samples
        self.size = preprocessing.size
        self.mean = np.asarray(preprocessing.mean, np.float32)[:, None, None]
        self.std = np.asarray(preprocessing.std, np.float32)[:, None, None]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        import torch

        with Image.open(io.BytesIO(self.samples[index].read())) as image:
            picture = image.convert("RGB")
        crop = picture.crop(self._box(*picture.size))
        crop = crop.resize((self.size, self.size), Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = np.asarray(crop, np.float32).transpose(2, 0, 1) / np.float32(255)
        return torch.from_numpy((pixels - self.mean) / self.std), index % CLASSES

    def _box(self, width: int, height: int) -> tuple[int, int, int, int]:
        for _ in range(10):
            area = width * height * random.uniform(0.08, 1)
            aspect = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                left, top = random.randint(0, width - w), random.randint(0, height - h)
                return (left, top, left + w, top + h)
        return (0, 0, width, height)


def torch_epoch(
    engine: Engine, preprocessing: Preprocessing, samples: list[Sample]
) -> Callable[[], float]:
    import torch

    random.seed(0)
    loader = torch.utils.data.DataLoader(
        TorchStyle(samples, preprocessing),  # type: ignore[arg-type]
        batch_size=BATCH,
        shuffle=True,
        num_workers=available_cores(),
        persistent_workers=True,
        generator=torch.Generator().manual_seed(0),
    )
    layer = torch.nn.Linear(engine.dimension, CLASSES)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def measure() -> float:
        start = perf_counter()
        for images, labels in loader:
            features = torch.from_numpy(engine.run(images.numpy()))
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(layer(features), labels).backward()
            optimiser.step()
        return perf_counter() - start

    return measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone", default="resnet50:0.9", help="as in pipeline.py")
    parser.add_argument("--dense", default="resnet50:0", help="the peers' backbone")
    parser.add_argument("--engine", default="auto", help="of ours")
    parser.add_argument("--data", type=Path, help="a folder of photos; made ones if not given")
    parser.add_argument("--images", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        folder = args.data
        if folder is None:
            folder = work / "photos"
            folder.mkdir()
            make_photos(folder, args.images)
        samples = some_photos(folder, args.images)
        sparse, dense = backbone_of(args.backbone, work), backbone_of(args.dense, work)
        frozen, preprocessing = dense.frozen(BATCH), dense.preprocessing
        int8 = quantise(frozen)

        def peer(model: Any, engine: str) -> Callable[[], float]:
            return torch_epoch(open_engine(model, engine=engine), preprocessing, samples)

        ours = open_engine(sparse.frozen(BATCH), engine=args.engine)
        found = {
            "edgetransfer": our_epoch(ours, preprocessing, samples),
            "torch-loader+onnxruntime": peer(frozen, "onnxruntime"),
            "torch-loader+openvino": peer(frozen, "openvino"),
            "torch-loader+openvino-int8": peer(int8, "openvino"),
            "ours+openvino-int8": our_epoch(
                open_engine(int8, engine="openvino"), preprocessing, samples
            ),
        }
        seconds = {who: median(s, 3) for who, s in in_turns(found, args.repeats).items()}
        report(
            "epoch",
            backbone=args.backbone,
            peers_backbone=args.dense,
            engine=ours.choice.name,
            images=len(samples),
            images_per_second={w: round(len(samples) / s, 1) for w, s in seconds.items()},
            times_ours={w: round(s / seconds["edgetransfer"], 2) for w, s in seconds.items()},
        )


if __name__ == "__main__":
    main()
