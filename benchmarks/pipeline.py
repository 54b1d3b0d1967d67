"""How near the online pipeline comes to what its parts allow.

    python benchmarks/pipeline.py [--backbone B …] [--data DIR | --large [--data DIR]] [--repeats N]

The floor is the sum of the parts, each alone on all cores: an image costs 1 / (engine's images a
second) + 1 / (decode and transform's images a second). The three are measured in turns in one
run, so that drift of the machine cancels; efficiency is the median over the turns. Without
``--data``, seeded photos are made; ``--large`` makes them, or those of the folder, 12 megapixels
large. Beside the efficiency in images a second stands that in processor time, which other programs
on the machine hardly change. Results are JSON lines on stdout.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from pathlib import Path
from time import process_time

import numpy as np
from workloads import (
    LARGE,
    SMALL,
    backbone_of,
    enlarge_photos,
    make_photos,
    report,
    some_photos,
)

from edgetransfer.backbones import Backbone
from edgetransfer.benchmark.floor import Floor, decoder_of, engine_rate, pipeline_rate
from edgetransfer.data import Sample
from edgetransfer.engines import EnginePlan, open_streams
from edgetransfer.features import FeatureExtractor, TrainView
from edgetransfer.settings.shared import DEFAULT_BACKBONE


def measure(
    backbone: Backbone, samples: list[Sample], engine: str, plan: EnginePlan, repeats: int
) -> dict[str, object]:
    model = backbone.frozen(plan.batch_of(64))
    engines = open_streams(model, plan, engine=engine)
    extractor = FeatureExtractor(engines[0], backbone.preprocessing, streams=engines[1:])
    batches = len(samples) // engines[0].batch_size
    turns = []
    with extractor, decoder_of(extractor) as decoder:
        pipeline_rate(extractor, samples[:128], TrainView(seed=0, epoch=0))
        for turn in range(repeats):
            view = TrainView(seed=0, epoch=turn)
            clock = [process_time()]
            alone = engine_rate(engines, batches=batches, seconds=math.inf)
            clock.append(process_time())
            decoding = pipeline_rate(decoder, samples, view)
            clock.append(process_time())
            whole = pipeline_rate(extractor, samples, view)
            clock.append(process_time())
            forward, decode, both = np.diff(clock)
            floor = Floor(engine=alone, decoding=decoding)
            shares = (whole / floor.rate, (forward + decode) / both)
            turns.append((alone, decoding, whole, *shares))
            print(f"turn {turn}: {shares[0]:.3f} of the floor", file=sys.stderr)
    alone, decoding, rate, efficiency, by_processor_time = map(
        statistics.median, zip(*turns, strict=True)
    )
    return {
        "backbone": backbone.name,
        "sparsity": round(backbone.sparsity, 3),
        "engine": engines[0].choice.name,
        "streams": len(engines),
        "images": len(samples),
        "engine_images_per_second": round(alone, 1),
        "decoding_images_per_second": round(decoding, 1),
        "pipeline_images_per_second": round(rate, 1),
        "efficiency": round(efficiency, 3),
        "efficiency_by_processor_time": round(by_processor_time, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--backbone",
        action="append",
        help="a file or a name, FILE:SPARSITY (pruned by magnitude), resnet50:0.9 (random weights)",
    )
    parser.add_argument("--data", type=Path, help="a folder of photos")
    parser.add_argument("--large", action="store_true", help="12 megapixels each")
    parser.add_argument("--images", type=int, help="how many; 768, or 96 large ones")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--streams", type=int, default=1)
    args = parser.parse_args()
    count = args.images or (96 if args.large else 768)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.data
        if folder is None or args.large:
            folder = Path(temporary) / "photos"
            folder.mkdir()
            if args.data is not None:
                enlarge_photos(args.data, folder, count)
            else:
                make_photos(folder, count, LARGE if args.large else SMALL)
        samples = some_photos(folder, count)
        plan = EnginePlan(engine=args.engine, streams=args.streams)
        for name in args.backbone or [DEFAULT_BACKBONE]:
            backbone = backbone_of(name, Path(temporary))
            result = measure(backbone, samples, args.engine, plan, args.repeats)
            report("pipeline", photos="12 megapixels" if args.large else "small", **result)


if __name__ == "__main__":
    main()
