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
import math
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.pruning import prune_by_magnitude
from edgetransfer.benchmark.floor import Floor, decoder_of, engine_rate, pipeline_rate
from edgetransfer.data import Sample, find_images
from edgetransfer.defaults import DEFAULT_BACKBONE
from edgetransfer.engines import open_engine
from edgetransfer.features import FeatureExtractor, TrainView
from edgetransfer.images import SUFFIXES


def make_photos(folder: Path, count: int) -> None:
    """Smooth seeded noise of Caltech-101's usual size, 300 x 240, as JPEG."""
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 30, 3), np.uint8))
        photo = coarse.resize((300, 240), Image.Resampling.BICUBIC)
        photo.save(folder / f"{index:04d}.jpg", quality=90)


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
            model = prune_by_magnitude(model, args.sparsity)
        engine = open_engine(model, engine=args.engine)
        batches = len(samples) // args.batch_size
        with (
            FeatureExtractor(engine, backbone.preprocessing) as extractor,
            decoder_of(extractor, workers=None) as decoder,
        ):
            pipeline_rate(extractor, samples[: 2 * args.batch_size], TrainView(seed=0, epoch=0))
            turns = []
            for turn in range(args.repeats):
                view = TrainView(seed=0, epoch=turn)
                floor = Floor(
                    engine=engine_rate(engine, batches=batches, seconds=math.inf),
                    decoding=pipeline_rate(decoder, samples, view),
                )
                whole = pipeline_rate(extractor, samples, view)
                turns.append((floor.engine, floor.decoding, whole, whole / floor.rate))
                print(f"turn {turn}: {whole / floor.rate:.3f} of the floor", file=sys.stderr)
    engine_alone, decoding_alone, rate, efficiency = map(
        statistics.median, zip(*turns, strict=True)
    )
    record = {
        "benchmark": "pipeline",
        "backbone": backbone.name,
        "pruned_to": args.sparsity,
        "engine": engine.choice.name,
        "images": len(samples),
        "engine_images_per_second": round(engine_alone, 1),
        "decoding_images_per_second": round(decoding_alone, 1),
        "pipeline_images_per_second": round(rate, 1),
        "efficiency": round(efficiency, 3),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
