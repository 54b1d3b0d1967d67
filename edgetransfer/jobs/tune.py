"""Finding the fastest way to run a backbone on this machine, in under a minute."""

from __future__ import annotations

import io
import itertools
import logging
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, perf_counter

import numpy as np

from edgetransfer.backbones import Backbone
from edgetransfer.data import Sample, find_images
from edgetransfer.engines import (
    KINDS,
    Engine,
    EngineKind,
    EnginePlan,
    available_cores,
    images_per_second,
    open_engine,
    open_streams,
    reference_kind,
    save_plan,
)
from edgetransfer.engines.processor import cpu_model
from edgetransfer.errors import DataError, EngineError
from edgetransfer.features import FeatureExtractor, TrainView, default_cache_folder, workload_of
from edgetransfer.images import SUFFIXES
from edgetransfer.reports.machine import MeasuredEngineRecord, TriedPlanRecord, TuneRecord
from edgetransfer.reprs import short_repr
from edgetransfer.settings.tune import Tuning
from edgetransfer.types import Float32Array, Progress, no_progress

logger = logging.getLogger(__name__)

BATCHES = (64, 32, 16)
BUSY = 0.5  # of the cores, in programs that want to run
DECIDED = 1.02  # a more intricate way must be faster by this factor
PHOTOS = 256
TRIAL_SECONDS = 1.5
AGREED = 1e-3  # of the largest feature: more than sums in another order explain
COMPARED = 4  # random images that engines are compared on


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One way to run the whole of an online epoch but its head, and how fast that was."""

    plan: EnginePlan
    images_per_second: float

    __repr__ = short_repr

    def row(self) -> TriedPlanRecord:
        """The trial for a report."""
        plan = self.plan
        return {
            "engine": plan.engine,
            "streams": plan.streams,
            "batch_size": plan.batch_size,
            "workers": plan.workers,
            "pinned": plan.pinned,
            "images_per_second": round(self.images_per_second, 1),
        }


def tune_backbone(settings: Tuning, progress: Progress = no_progress) -> TuneRecord:
    """Measure engines, then streams, batches, workers and pinning; keep the fastest plan.

    Every engine that can be had is measured alone. With the fastest of those that compute in
    float32 the whole pipeline (decoding, augmentation, forward) is measured in several ways, each
    step starting from the best so far, until the time is used up.

    Raises
    ------
    EdgeTransferError
        If the backbone or the photos cannot be used, or no engine can run it.
    """
    opened = Backbone.open(settings.backbone, features=settings.features, size=settings.size)
    threads = settings.threads
    samples = _photos_of(settings.data) if settings.data is not None else _made_photos()
    cache = settings.cache_dir or default_cache_folder()
    busy = _others_load(available_cores())
    begun = monotonic()
    tuning = _Tuning(opened, samples, threads, cache, begun + settings.seconds, progress)
    # The reference first: the others are compared with it.
    engines = [tuning.engine_alone(kind) for kind in reversed(KINDS)][::-1]
    exact = [r for r in engines if not r["reduced"]]
    apart = [r["reason"] or "" for r in exact if (r["difference"] or 0.0) > AGREED]
    speeds = {r["name"]: speed for r in exact if (speed := r["images_per_second"])}
    if not speeds:
        reasons = "; ".join(f"{r['name']}: {r['reason']}" for r in engines)
        raise EngineError(f"{opened.path}: no engine can run this backbone: {reasons}")
    fastest = max(speeds, key=speeds.__getitem__)
    trials = tuning.search(EnginePlan(engine=fastest))
    plan = replace(best_of(trials).plan, images_per_second=speeds)
    try:
        file = str(save_plan(plan, cache, workload_of(opened, threads)))
    except OSError as error:
        raise DataError(f"{cache}: the plan cannot be kept there: {error}") from error
    return {
        "backbone": opened.record,
        "machine": {"cpu": cpu_model(), "cores": min(threads or 10**6, available_cores())},
        "photos": len(samples),
        "engines": engines,
        "trials": [trial.row() for trial in trials],
        "plan": plan.record,
        "file": file,
        "seconds": monotonic() - begun,
        "warnings": [*opened.warnings, *busy, *apart],
    }


def _others_load(cores: int) -> list[str]:
    """A warning where other programs keep the processor busy as measuring begins."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load < BUSY * cores:
        return []
    text = (
        f"the machine is busy (load {load:.1f} on {cores} cores): what is measured now may not "
        "hold; tune again when it is idle"
    )
    logger.warning("%s", text)
    return [text]


def best_of(trials: Sequence[Trial]) -> Trial:
    """The fastest trial, but an earlier, simpler one where it is hardly slower."""
    best = trials[0]
    for trial in trials[1:]:
        if trial.images_per_second > DECIDED * best.images_per_second:
            best = trial
    return best


class _Tuning:
    """One tuning, with everything that it needs opened."""

    def __init__(
        self,
        backbone: Backbone,
        samples: Sequence[Sample],
        threads: int | None,
        cache: Path,
        deadline: float,
        progress: Progress,
    ) -> None:
        self.backbone = backbone
        self.samples = samples
        self.threads = threads
        self.cores = min(threads or available_cores(), available_cores())
        self.cache = cache
        self.deadline = deadline
        self.progress = progress
        self.trials: list[Trial] = []
        self._expected: Float32Array | None = None

    def engine_alone(self, kind: EngineKind) -> MeasuredEngineRecord:
        """Images a second of one engine in small batches; or why there are none.

        One that makes other features than the reference, in the same precision, has none.
        """
        self.progress("engines", len(KINDS) - 1 - KINDS.index(kind), len(KINDS))
        row: MeasuredEngineRecord = {
            "name": kind.name,
            "reduced": kind.reduced,
            "difference": None,
            "version": None,
            "images_per_second": None,
            "reason": None,
        }
        try:
            engine = open_engine(
                self.backbone.frozen(BATCHES[1]),  # the largest takes slow ones too long
                engine=kind.name,
                threads=self.threads,
                cache=self.cache,
            )
            row["difference"] = self._difference(kind, engine)
            speed = images_per_second(engine)
            engine.close()
        except EngineError as error:
            reason = str(error).removesuffix(f"; use --engine {KINDS[-1].name}")
            return {**row, "reason": reason}
        row["version"] = engine.choice.version
        if (row["difference"] or 0.0) > AGREED and not kind.reduced:
            reason = (
                f"{kind.title} makes other features of this backbone than "
                f"{reference_kind().title}: they differ by {row['difference']:.2g} of the largest "
                "one, so it is not used; please report this network"
            )
            logger.warning("%s", reason)
            return {**row, "reason": reason}
        return {**row, "images_per_second": round(speed, 1)}

    def _difference(self, kind: EngineKind, engine: Engine) -> float | None:
        """The largest difference from the reference's features over the largest of these.

        None of the reference itself, and where it cannot run; infinite where features are not
        finite.
        """
        shape = (COMPARED, *engine.input_shape[1:])
        found = engine.run(np.random.default_rng(0).standard_normal(shape, np.float32))
        if kind.name == reference_kind().name:
            self._expected = found
        if self._expected is None or found is self._expected:
            return None
        largest = float(np.abs(self._expected).max()) or 1.0
        difference = float(np.abs(found - self._expected).max()) / largest
        return difference if np.isfinite(difference) else float("inf")

    def search(self, plan: EnginePlan) -> list[Trial]:
        """Try ways to run the pipeline, coordinate by coordinate."""
        cores = self.cores
        first = replace(plan, batch_size=BATCHES[0], workers=cores)
        streams = sorted({n for n in (cores, cores // 2) if n > 1 and cores % n == 0})
        self._try_all([first, *(replace(first, streams=n) for n in streams)])
        best = best_of(self.trials).plan
        self._try_all([replace(best, batch_size=n) for n in BATCHES[1:]])
        best = best_of(self.trials).plan
        self._try_all([replace(best, workers=n) for n in (cores + 1, cores - 1) if n >= 1])
        best = best_of(self.trials).plan
        if best.streams == cores > 1:
            self._try_all([replace(best, pinned=True)])
        return self.trials

    def _try_all(self, plans: Sequence[EnginePlan]) -> None:
        for plan in plans:
            if self.trials and monotonic() > self.deadline:
                return
            self.progress("ways to run it", len(self.trials), 2 * len(BATCHES) + 3)
            try:
                with self._pipeline(plan) as extractor:
                    speed = self._speed(extractor)
            except EngineError:
                if not self.trials:
                    raise
                continue
            self.trials.append(Trial(plan=plan, images_per_second=speed))

    @contextmanager
    def _pipeline(self, plan: EnginePlan) -> Iterator[FeatureExtractor]:
        model = self.backbone.frozen(plan.batch_of(BATCHES[0]))
        engines: list[Engine] = open_streams(
            model,
            plan,
            engine=plan.engine,
            threads=self.threads,
            cache=self.cache,
            trial=False,  # it was tried when it ran alone
        )
        with ExitStack() as stack:
            for engine in engines:
                stack.callback(engine.close)
            yield stack.enter_context(
                FeatureExtractor(
                    engines[0],
                    self.backbone.preprocessing,
                    streams=engines[1:],
                    workers=plan.workers,
                    cores=self.threads,
                )
            )

    def _speed(self, extractor: FeatureExtractor) -> float:
        """Images a second of the pipeline, after two batches to warm up."""
        size = extractor.engine.batch_size
        with closing(self._counts(extractor)) as counts:
            next(counts), next(counts)
            start = perf_counter()
            done = 0
            while done < 2 * size or perf_counter() - start < TRIAL_SECONDS:
                done += next(counts)
            return done / (perf_counter() - start)

    def _counts(self, extractor: FeatureExtractor) -> Generator[int, None, None]:
        """How many images each batch of an endless training has."""
        for epoch in itertools.count():
            used = 0
            train = TrainView(seed=0, epoch=epoch)
            with closing(extractor.extract(self.samples, train=train)) as batches:
                for batch in batches:
                    used += len(batch.indices)
                    yield len(batch.indices)
            if not used:
                raise DataError(f"{self.samples[0].id}: not one of the photos can be decoded")


def _photos_of(folder: Path) -> list[Sample]:
    """Some photos of a folder, read ahead."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of photos")
    files = sorted(find_images(folder, suffixes=SUFFIXES))
    if not files:
        raise DataError(f"{folder}: there are no photos in it")
    chosen = np.random.default_rng(0).permutation(len(files))[:PHOTOS]
    return [Sample(id=str(files[i]), source=files[i]) for i in chosen]


def _made_photos() -> list[Sample]:
    """Seeded smooth noise in the size of a small photo, 300 x 240, as JPEG."""
    from PIL import Image

    rng = np.random.default_rng(0)
    samples = []
    for index in range(PHOTOS):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 30, 3), np.uint8))
        file = io.BytesIO()
        coarse.resize((300, 240), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        samples.append(Sample(id=f"{index}", source=file.getvalue()))
    return samples
