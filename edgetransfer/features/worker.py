"""A backbone in an engine that can be sent to another process: it is opened where it is used."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgetransfer.backbones import Backbone, open_with
from edgetransfer.data import Sample
from edgetransfer.engines import (
    AUTO,
    available_cores,
    open_engine,
    result_version,
)
from edgetransfer.errors import BackboneError, EngineError
from edgetransfer.features.extractor import FeatureExtractor
from edgetransfer.features.plans import plan_for
from edgetransfer.paths import default_cache_folder
from edgetransfer.reprs import short_repr
from edgetransfer.settings.shared import BackboneReading
from edgetransfer.types import Float32Array, Progress, no_progress
from edgetransfer.version import __version__

BATCH_SIZE = 64
NOT_FINITE = "its features are not finite numbers"


@dataclass(frozen=True, kw_only=True)
class ExtractedRows:
    """The features of samples, all of them.

    Parameters
    ----------
    features
        (n, D) float32; nan where there is a problem.
    problems
        Why a sample has no features, by its place.
    """

    features: Float32Array
    problems: dict[int, str]

    __repr__ = short_repr


class FeatureWorker:
    """Extracts features of eval views; pickled, it carries what to open, not what is open.

    What opens in another process is checked to be the same: this package by its version, the
    backbone by its sha256, the engine by its name and version and, as most add in another order
    where there are other instructions, by these. The sparse engine gives the same bits in every
    batch, and on every processor with AVX2 or AVX-512.

    Parameters
    ----------
    backbone
        An ONNX file, or the name of a bundled backbone; each process needs it there.
    reading
        How it is read.
    engine
        As of `open_engine`.
    threads
        What the scheduler grants (`granted_threads`) if None.

    Raises
    ------
    BackboneError
        If the backbone cannot be used.
    """

    def __init__(
        self,
        backbone: str,
        *,
        reading: BackboneReading | None = None,
        engine: str = AUTO,
        threads: int | None = None,
    ) -> None:
        self.source = backbone
        self._reading = reading or BackboneReading()
        self._threads = threads
        self._engine = engine
        self._backbone: Backbone | None = open_with(backbone, self._reading)
        self._identity = self._backbone.identity
        self._opened: tuple[int, FeatureExtractor] | None = None
        self._release = __version__
        self._wanted: str | None = None  # the version of results where the work was given out

    def __getstate__(self) -> dict[str, Any]:
        if self._wanted is None:
            choice = self.extractor.engine.choice  # what runs here must run there
            self._engine, self._wanted = choice.name, result_version(choice)
        return {**self.__dict__, "_opened": None, "_backbone": None}

    def with_threads(self, threads: int) -> FeatureWorker:
        """The same, not open, for a process that has so many threads."""
        other = copy(self)
        other._threads = threads
        return other

    @property
    def threads(self) -> int:
        """Of its engine, and that decode."""
        return self._threads or granted_threads()

    @property
    def backbone(self) -> Backbone:
        """What is run; opened by the first who asks, for a scheduler's own threads must not wait.

        Raises
        ------
        BackboneError
            If it is another file in this process than where the work was given out.
        """
        if self._backbone is None:
            opened = open_with(self.source, self._reading)
            if opened.identity != self._identity:
                raise BackboneError(
                    f"{self.source}: here it is another file than where the work was given out"
                )
            self._backbone = opened
        return self._backbone

    @property
    def extractor(self) -> FeatureExtractor:
        """What is open in this process."""
        if self._opened is None or self._opened[0] != os.getpid():  # a fork has no threads
            self._opened = (os.getpid(), self._open())
        return self._opened[1]

    def _open(self) -> FeatureExtractor:
        if self._release != __version__:
            raise EngineError(
                f"here is edgetransfer {__version__}, and {self._release} where the work was given "
                "out: its features may be others; install the same release for every worker"
            )
        threads = self.threads
        cache = default_cache_folder()
        engine = open_engine(
            self.backbone.frozen(BATCH_SIZE),
            engine=self._engine,
            threads=threads,
            cache=cache,
            plan=plan_for(self.backbone, cache, threads),
        )
        found = result_version(engine.choice)
        if self._wanted not in (None, found):
            engine.close()
            raise EngineError(
                f"--engine {self._engine}: here its features would not be the same bits: it is "
                f"{found}, and {self._wanted} where the work was given out; --engine sparse gives "
                "the same wherever there is AVX2 or AVX-512, or give the work to machines alike"
            )
        return FeatureExtractor(engine, self.backbone.preprocessing, workers=threads, cores=threads)

    def extract(
        self, samples: Sequence[Sample], progress: Progress = no_progress, stage: str = "features"
    ) -> ExtractedRows:
        """The features of samples, in their order; what cannot be decoded is named."""
        features = np.full((len(samples), self.backbone.dimension), np.nan, np.float32)
        problems: dict[int, str] = {}
        done = 0
        for batch in self.extractor.extract(samples):
            features[batch.indices] = batch.features
            problems.update(batch.failed)
            done += len(batch.indices) + len(batch.failed)
            progress(stage, done, len(samples))
        strange = ~np.isfinite(features).all(axis=1)
        for place in np.flatnonzero(strange).tolist():
            problems.setdefault(place, NOT_FINITE)
        features[strange] = np.nan
        return ExtractedRows(features=features, problems=dict(sorted(problems.items())))

    def close(self) -> None:
        """Close the engine; the next call opens it again."""
        if self._opened is not None and self._opened[0] == os.getpid():
            self._opened[1].close()
            self._opened[1].engine.close()
        self._opened = None


def granted_threads() -> int:
    """The cores that a scheduler grants to the task that this process runs, or all there are.

    Asked are Ray and Spark where they are loaded, and the environment of job arrays.
    """
    cores = available_cores()
    if "ray" in sys.modules and (ray := sys.modules["ray"]).is_initialized():
        with contextlib.suppress(AssertionError):  # Ray's answer to who is no worker: the driver
            granted = ray.get_runtime_context().get_assigned_resources().get("CPU", 0)
            if granted >= 1:
                return min(int(granted), cores)
    if "pyspark" in sys.modules:
        from pyspark import TaskContext

        context = TaskContext.get()
        if context is not None:
            return max(1, min(int(context.cpus()), cores))
    for name in ("SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"):
        if os.environ.get(name, "").isdigit() and int(os.environ[name]):
            return min(int(os.environ[name]), cores)
    return cores
