"""What the zeros of the backbone are worth here: its engine against one that gains nothing."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from edgetransfer.backbones import open_with
from edgetransfer.engines import Engine, batch_seconds, open_engine, reference_kind
from edgetransfer.errors import UsageError
from edgetransfer.settings.stream import StreamSettings

ROUNDS = 3
SECONDS = 0.3  # of each engine in each round


class Speed:
    """Measures it when somebody asks, and remembers the last answer.

    Parameters
    ----------
    settings
        Of the run: backbone, batch and threads.
    engine
        That runs it.
    """

    def __init__(self, settings: StreamSettings, engine: str) -> None:
        self.newest: dict[str, Any] | None = None
        self._settings = settings
        self._engine = engine
        self._measuring = Lock()

    def measure(self) -> dict[str, Any]:
        """Images a second of both, measured in turns on engines of their own; a few seconds.

        Raises
        ------
        EdgeTransferError
            If the backbone cannot be opened any more, runs in the other engine already, or is
            being measured.
        """
        if self._engine == reference_kind().name:
            raise UsageError(f"{self._engine} runs it already, and gains nothing from zeros")
        if not self._measuring.acquire(blocking=False):
            raise UsageError("it is being measured")
        try:
            self.newest = self._measured()
        finally:
            self._measuring.release()
        return self.newest

    def _measured(self) -> dict[str, Any]:
        backbone = open_with(self._settings.backbone, self._settings)
        frozen = backbone.frozen(self._settings.engine_batch)
        names = (self._engine, reference_kind().name)
        opened: list[Engine] = []
        try:
            for name in names:
                opened.append(open_engine(frozen, engine=name, threads=self._settings.threads))
            times: dict[str, list[float]] = {name: [] for name in names}
            for _ in range(ROUNDS):
                for engine in opened:
                    times[engine.name] += batch_seconds(engine, SECONDS)
            rates = [float(self._settings.engine_batch / np.median(times[n])) for n in names]
        finally:
            for engine in opened:
                engine.close()
        return {
            "engine": names[0],
            "images_per_second": rates[0],
            "dense_engine": names[1],
            "dense_images_per_second": rates[1],
            "sparsity": backbone.sparsity,
        }
