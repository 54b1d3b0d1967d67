"""Train a classifier of your own photos, test it on photos held out, and ask it about some.

python examples/train.py PHOTOS RUN [BACKBONE]
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgetransfer import Classifier, train_linear


def main(photos: Path, run: Path, backbone: str = "tinyresnet-90") -> None:
    """Train, then predict; a fifth of the photos is held out."""
    report = train_linear(backbone=backbone, data=photos, out=run, val_fraction=0.2)
    print(f"{report['n_train']} photos of {report.n_classes} classes")
    print(f"held out: {report.top1:.1%} top-1")

    some = sorted(path for path in photos.rglob("*") if path.suffix in (".jpg", ".png"))[:3]
    with Classifier.load(run) as classifier:
        for photo, prediction in zip(some, classifier.predict(some, top=1), strict=True):
            print(photo.name, prediction.classes[0], f"{prediction.probabilities[0]:.1%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
