"""Learn photos one after the other, and count how many were known before they were learned.

    python examples/stream.py PHOTOS RUN [BACKBONE]

Run it again: it goes on where it stood, and learns no photo twice.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from edgetransfer import OnlineLearner, StreamSettings


def main(photos: Path, run: Path, backbone: str = "tinyresnet-90") -> None:
    """Predict, score, learn; the name of a photo's folder is its class."""
    arriving = sorted(path for path in photos.rglob("*") if path.suffix in (".jpg", ".png"))
    random.Random(0).shuffle(arriving)
    right = seen = 0
    with OnlineLearner(StreamSettings(backbone=backbone, source="", out=run)) as learner:
        for photo in arriving:
            receipt = learner.learn(photo, photo.parent.name)
            if receipt.status == "accepted":
                seen += 1
                right += receipt.predicted == photo.parent.name
    print(f"{seen} new photos, {right} of them known before they were learned")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
