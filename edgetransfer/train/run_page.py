"""The page of a run: report.html in its folder."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.engines import EngineChoice, available_cores
from edgetransfer.errors import EdgeTransferError
from edgetransfer.findings import Scored, examined, unseen
from edgetransfer.heads import LinearHead
from edgetransfer.pages import RunPage, check_page, run_page, write_page_file
from edgetransfer.reports.shared import SkippedRecord
from edgetransfer.reports.train import AnyTrainingRecord
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import HEAD, PAGE
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.command_line import command_line
from edgetransfer.types import Float32Array, Progress, no_progress
from edgetransfer.version import __version__

logger = logging.getLogger(__name__)


def write_page(
    run: RunFolder,
    settings: LinearTraining,
    classes: tuple[str, ...],
    parts: Sequence[Scored],
    report: AnyTrainingRecord,
    *,
    skipped: Sequence[SkippedRecord] = (),
    own: FinetuneSettings | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Write the page of a finished run; returns where it is.

    Parameters
    ----------
    parts
        The splits that have photos, each with what heads say that have not seen them.
    report
        As in report.json.
    own
        Of a finetuning: what it trained, and how.
    """
    start = monotonic()
    threads = settings.threads or available_cores()
    page = RunPage(
        title=settings.out.resolve().name,
        examination=examined(parts, classes, threads=threads, progress=progress),
        facts=facts_of(run, settings, report),
        stages=report["stages"],
        command=command_line(settings, own),
        warnings=report["warnings"],
        skipped=skipped,
    )
    run.write(PAGE, run_page(page, threads=threads, progress=progress))
    path = run.file(PAGE)
    logger.info("%s: written in %.1f s", path, monotonic() - start)
    return path


def scored_photos(
    split: str, found: Sequence[tuple[Sample, tuple[Float32Array, Float32Array]]]
) -> Scored:
    """Photos with their features and probabilities, as a split."""
    return unseen(
        split,
        [sample for sample, _ in found],
        np.stack([features for _, (features, _) in found]),
        np.stack([probabilities for _, (_, probabilities) in found]),
    )


def write_test_page(
    path: Path,
    part: Scored,
    head: LinearHead,
    choice: EngineChoice,
    *,
    skipped: Sequence[SkippedRecord] = (),
    threads: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Write a page about photos that a head was tested on; a page that is there is replaced.

    Raises
    ------
    TakenError
        If the name is a folder's.
    EdgeTransferError
        If it cannot be written.
    """
    check_page(path)
    decoding = threads or available_cores()
    page = RunPage(
        title="Test",
        examination=examined([part], head.classes, threads=decoding, progress=progress),
        facts=[
            ("backbone", head.metadata.get("backbone_name", "")),
            ("engine", f"{choice.name} {choice.version} ({choice.reason})"),
            *_versions(),
            ("sha256 of the backbone", head.metadata.get("backbone", "")),
        ],
        skipped=skipped,
    )
    write_page_file(path, run_page(page, threads=decoding, progress=progress))


@contextlib.contextmanager
def page_may_fail() -> Iterator[None]:
    """A run that is finished stays so if its page cannot be made; that is logged."""
    try:
        yield
    except (EdgeTransferError, OSError) as error:
        logger.warning("%s is not written: %s", PAGE, error)


def facts_of(
    run: RunFolder, settings: LinearTraining, report: AnyTrainingRecord
) -> list[tuple[str, str]]:
    """How a run was made, in words."""
    backbone, engine = report["backbone"], report["engine"]
    facts = [
        ("backbone", f"{backbone['name']}, {backbone['sparsity']:.1%} of its weights zero"),
        ("engine", f"{engine['name']} {engine['version']} ({engine['reason']})"),
        ("head", _head(report)),
        ("seed", str(settings.seed)),
    ]
    if "calibration" in report:
        error = report["calibration"]["error"]
        facts.append(("calibration", f"certainty off by {error:.3f} on unseen photos"))
    if memory := report.get("peak_memory_bytes"):
        facts.append(("memory", f"{memory / 2**20:,.0f} MiB at most"))
    facts += [
        *_versions(),
        ("sha256 of the backbone", str(backbone["sha256"])),
        ("sha256 of the head", hashlib.sha256(run.file(HEAD).read_bytes()).hexdigest()),
    ]
    return facts


def _versions() -> list[tuple[str, str]]:
    return [
        ("edgetransfer", __version__),
        ("Python", f"{platform.python_version()}, NumPy {np.__version__}"),
        ("machine", f"{platform.system()} {platform.machine()}, {available_cores()} cores"),
    ]


def _head(report: AnyTrainingRecord) -> str:
    if "chosen" in report:
        chosen = report["chosen"]
        penalties = " and ".join(f"{penalty:.3g}" for penalty in chosen["penalties"])
        return f"{chosen['solver']} on {chosen['map']}, penalty {penalties}"
    if "lbfgs" in report:
        return f"L-BFGS, l2 {report['lbfgs']['l2']:.3g}"
    return f"SGD, {len(report['epochs'])} epochs, {report['mode']}"
