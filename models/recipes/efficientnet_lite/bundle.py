"""A sparse backbone as the project ships it: no classifier, float16 values, packed, with its card.

    python bundle.py SPARSE.onnx --name NAME --pruning TEXT --source TEXT --out DIR [--photos DIR]

`SPARSE.onnx` is what `edgetransfer sparsify` made of the dense file. With --photos the features of
the packed network are compared with those of the float32 one.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.packing import PACKED, pack, rounded, unpack
from edgetransfer.data import Sample, find_images
from edgetransfer.engines import open_engine
from edgetransfer.features import FeatureExtractor
from edgetransfer.images import SUFFIXES

COMPARED = 128
BATCH = 32


def features(backbone: Backbone, samples: list[Sample]) -> np.ndarray:
    engine = open_engine(backbone.frozen(BATCH))
    with FeatureExtractor(engine, backbone.preprocessing) as extractor:
        rows = [batch.features for batch in extractor.extract(samples)]
    engine.close()
    return np.concatenate(rows)


def compare(before: Backbone, after: Backbone, folder: Path) -> None:
    files = sorted(find_images(folder, suffixes=SUFFIXES))[:: max(1, 1000 // COMPARED)]
    samples = [Sample(id=path.name, source=path) for path in files[:COMPARED]]
    a, b = features(before, samples), features(after, samples)
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    print(f"features differ by {np.abs(a - b).max() / np.abs(a).max():.1e} of the largest")
    print(f"cosines of {len(samples)} photos: at least {cosines.min():.7f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sparse", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pruning", required=True, help="for the card: how it was made sparse")
    parser.add_argument("--source", required=True, help="for the card: where its weights are from")
    parser.add_argument("--licence", default="Apache-2.0")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", type=Path)
    options = parser.parse_args()
    opened = Backbone.open(options.sparse)
    body = rounded(opened.body)
    del body.metadata_props[:]
    content = body.SerializeToString(deterministic=True)
    packed = pack(content)
    assert unpack(packed) == content
    options.out.mkdir(parents=True, exist_ok=True)
    name = options.name
    (options.out / f"{name}{PACKED}").write_bytes(packed)
    plain = options.out / f"{name}.onnx"
    card = replace(
        opened.card,
        name=name,
        features=None,
        sparsity=opened.sparsity,
        dimension=opened.dimension,
        pruning=options.pruning,
        source=options.source,
        licence=options.licence,
        sha256=hashlib.sha256(content).hexdigest(),
        assumed=False,
    )
    (options.out / f"{name}.toml").write_text(card.to_toml(), encoding="utf-8")
    print(f"{name}: {opened.sparsity:.1%} zero, {len(content):,} bytes packed to {len(packed):,}")
    if options.photos is not None:
        onnx.save(onnx.load_from_string(content), str(plain))
        compare(opened, Backbone.open(plain), options.photos)
        plain.unlink()


if __name__ == "__main__":
    main()
