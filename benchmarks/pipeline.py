"""How near the online pipeline comes to what its parts allow.

    python benchmarks/pipeline.py [--backbone B] [--data DIR] [--sparsity S] [--repeats N]

The floor is the sum of the parts, each alone on all cores: an image costs 1 / (engine's images a
second) + 1 / (decode and transform's images a second). The three are measured in turns in one
run, so that drift of the machine cancels; efficiency is the median over the turns. Without
``--data``, seeded photos are made. Results are JSON lines on stdout.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
from onnx import numpy_helper
from PIL import Image

from edgetransfer.backbones import Backbone
from edgetransfer.data import Sample, find_images
from edgetransfer.defaults import DEFAULT_BACKBONE
from edgetransfer.engines import Engine, FakeEngine, open_engine
from edgetransfer.features import FeatureExtractor, TrainView
from edgetransfer.images import SUFFIXES


def make_photos(folder: Path, count: int) -> None:
    """Smooth seeded noise of Caltech-101's usual size, 300 x 240, as JPEG."""
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 30, 3), np.uint8))
        photo = coarse.resize((300, 240), Image.Resampling.BICUBIC)
        photo.save(folder / f"{index:04d}.jpg", quality=90)


def prune(model: onnx.ModelProto, sparsity: float) -> None:
    """Zero the smallest weights of every convolution but the first, by magnitude."""
    convolutions = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    for tensor in model.graph.initializer:
        if tensor.name not in convolutions[1:]:
            continue
        weights = numpy_helper.to_array(tensor).copy()
        if weights.shape[1] == 1:  # depthwise
            continue
        weights[np.abs(weights) < np.quantile(np.abs(weights), sparsity)] = 0
        tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))


def engine_alone(engine: Engine, images: int) -> float:
    """Images a second of the engine on random batches."""
    batch = np.random.default_rng(0).standard_normal(engine.input_shape, np.float32)
    calls = max(2, images // engine.batch_size)
    start = perf_counter()
    for _ in range(calls):
        engine.run(batch)
    return calls * engine.batch_size / (perf_counter() - start)


class NoEngine(FakeEngine):
    """Takes batches and gives them back at no cost, so that decoding is all that is left."""

    def run(self, images: np.ndarray) -> np.ndarray:
        return np.zeros((len(images), self.dimension), np.float32)


def pipeline(extractor: FeatureExtractor, samples: list[Sample], epoch: int) -> float:
    """Images a second of the whole, as training uses it."""
    start = perf_counter()
    for _ in extractor.extract(samples, train=TrainView(seed=0, epoch=epoch)):
        pass
    return len(samples) / (perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone", default=DEFAULT_BACKBONE)
    parser.add_argument("--sparsity", type=float, help="prune by magnitude before; for speed alone")
    parser.add_argument("--data", type=Path, help="a folder of photos")
    parser.add_argument("--images", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--batch-size", type=int, default=64)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        folder = args.data
        if folder is None:
            folder = Path(temporary)
            make_photos(folder, args.images)
        files = sorted(find_images(folder, suffixes=SUFFIXES))
        chosen = np.random.default_rng(0).permutation(len(files))[: args.images]
        samples = [Sample(id=files[i].name, source=files[i]) for i in chosen]
        backbone = Backbone.open(args.backbone)
        model = backbone.frozen(args.batch_size)
        if args.sparsity is not None:
            prune(model, args.sparsity)
        engine = open_engine(model, engine=args.engine)
        preprocessing = backbone.preprocessing
        nothing = NoEngine(batch_size=args.batch_size, size=preprocessing.size, cells=1)
        with (
            FeatureExtractor(engine, preprocessing) as extractor,
            FeatureExtractor(nothing, preprocessing) as decoder,
        ):
            pipeline(extractor, samples[: 2 * args.batch_size], epoch=0)
            turns = []
            for turn in range(args.repeats):
                alone = engine_alone(engine, len(samples))
                decoding = pipeline(decoder, samples, turn)
                whole = pipeline(extractor, samples, turn)
                floor = 1 / (1 / alone + 1 / decoding)
                turns.append((alone, decoding, whole, whole / floor))
                print(f"turn {turn}: {whole / floor:.3f} of the floor", file=sys.stderr)
    engine_rate, decoding_rate, rate, efficiency = map(statistics.median, zip(*turns, strict=True))
    record = {
        "benchmark": "pipeline",
        "backbone": backbone.name,
        "pruned_to": args.sparsity,
        "engine": engine.choice.name,
        "images": len(samples),
        "engine_images_per_second": round(engine_rate, 1),
        "decoding_images_per_second": round(decoding_rate, 1),
        "pipeline_images_per_second": round(rate, 1),
        "efficiency": round(efficiency, 3),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
