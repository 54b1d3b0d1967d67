"""A sparse backbone as the project ships it: no classifier, few bits a weight, packed, its card.

    python bundle.py SPARSE.onnx --name NAME --pruning TEXT --source TEXT --out DIR \\
      [--integers] [--photos DIR] [--labelled DIR] [--transfer DIR]

`SPARSE.onnx` is what `edgetransfer sparsify` made of the dense file. Weights become float16, or
with --integers multiples of a step of each output channel, 127 on either side of zero. What then
is measured is the network as it ships: with --photos how far its features are from the float32
one's, with --labelled its top-1 with the classifier of SPARSE.onnx, with --transfer (class folders,
train and test) the mean accuracy per class of a linear head; the latter two go onto the card.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.packing import PACKED, pack, unpack
from edgetransfer.backbones.rounding import rounded
from edgetransfer.data import Sample, find_images
from edgetransfer.engines import open_engine
from edgetransfer.features import FeatureExtractor
from edgetransfer.graphs.canonical import load_canonical
from edgetransfer.images import SUFFIXES
from edgetransfer.settings.evaluate import ClassifierTest
from edgetransfer.train import LinearTraining, train_linear
from edgetransfer.train.upstream import evaluate_upstream

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


def with_classifier(sparse: Path, body: onnx.ModelProto, out: Path) -> None:
    """Write the whole network of a file, with the weights of its rounded body."""
    weights = {tensor.name: tensor for tensor in body.graph.initializer}
    whole = load_canonical(sparse)
    for tensor in whole.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(weights[tensor.name])
    onnx.save(whole, str(out))


def transfer(backbone: Path, data: Path, folder: Path) -> float:
    asked = LinearTraining(backbone=str(backbone), data=data, out=folder / "run")
    return float(train_linear(asked)["final"]["mean_per_class"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sparse", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pruning", required=True, help="for the card: how it was made sparse")
    parser.add_argument("--source", required=True, help="for the card: where its weights are from")
    parser.add_argument("--licence", default="Apache-2.0")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--integers", action="store_true", help="8 bits a weight, not 16")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--labelled", type=Path)
    parser.add_argument("--transfer", type=Path)
    options = parser.parse_args()
    opened = Backbone.open(options.sparse)
    body = rounded(opened.body, integers=options.integers)
    del body.metadata_props[:]
    content = body.SerializeToString(deterministic=True)
    packed = pack(content)
    assert unpack(packed) == content
    options.out.mkdir(parents=True, exist_ok=True)
    name = options.name
    (options.out / f"{name}{PACKED}").write_bytes(packed)
    card = replace(
        opened.card,
        name=name,
        features=None,
        sparsity=None,
        dimension=opened.dimension,
        pruning=options.pruning,
        source=options.source,
        licence=options.licence,
        sha256=hashlib.sha256(content).hexdigest(),
        assumed=False,
    )
    print(f"{name}: {opened.sparsity:.1%} zero, {len(content):,} bytes packed to {len(packed):,}")
    with tempfile.TemporaryDirectory() as made:
        plain = Path(made) / f"{name}.onnx"
        plain.write_bytes(content)
        plain.with_suffix(".toml").write_text(card.to_toml(), encoding="utf-8")
        shipped = Backbone.open(plain)  # what rounds to zero counts
        card = replace(card, sparsity=shipped.sparsity)
        if options.photos is not None:
            compare(opened, shipped, options.photos)
        if options.transfer is not None:
            share = transfer(plain, options.transfer, Path(made))
            card = replace(card, transfer=round(share, 4))
            print(f"transfer: {share:.2%} mean per class")
        if options.labelled is not None:
            whole = Path(made) / "whole.onnx"
            with_classifier(options.sparse, body, whole)
            loose = replace(card, sha256=None, sparsity=None, transfer=None)
            whole.with_suffix(".toml").write_text(loose.to_toml(), encoding="utf-8")
            found = evaluate_upstream(whole, options.labelled, ClassifierTest())
            card = replace(card, top1_photo_a_class=round(found["top1"], 4))
            print(f"top-1 with its classifier: {found['top1']:.2%}")
    (options.out / f"{name}.toml").write_text(card.to_toml(), encoding="utf-8")


if __name__ == "__main__":
    main()
