"""Made ``run-1`` with edgetransfer at commit 3470e63, before checkpoints were sealed.

    python -m tests.stream.golden.make_run FOLDER

The last ten samples are in the journal alone, as after a kill. ``learned.safetensors`` is the
head that the same code came to when it opened the run again. ``out`` was cut from the config.
"""

from __future__ import annotations

import shutil
import sys
from itertools import pairwise
from pathlib import Path

from edgetransfer.stream import OnlineLearner
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for

LEARNING = {"batch_size": 4, "reservoir_bytes": 3000, "refit_every": 16, "pool_bytes": 2000}
KEEPING = {"checkpoint_seconds": 1e9, "checkpoints": 3}
ENDS = (0, 20, 40, 50)


def main(folder: Path) -> None:
    settings = settings_for("", folder / "run-1", keeping=KEEPING, learning=LEARNING)
    learner = OnlineLearner(settings, feature_source=fake_feature_source())
    for first, last in pairwise(ENDS):
        learner.durable.save()
        for i in range(first, last):
            learner.learn(picture(i), None if i % 10 == 3 else label_of(i), id=f"n{i}")
    learner.close()
    copy = folder / "copy"
    shutil.copytree(folder / "run-1", copy)
    with OnlineLearner(
        settings_for("", copy, learning=LEARNING), feature_source=fake_feature_source()
    ):
        pass
    shutil.copy(copy / "head.safetensors", folder / "learned.safetensors")
    shutil.rmtree(copy)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
