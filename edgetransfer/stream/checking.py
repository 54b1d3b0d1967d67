"""Whether a stream's run is whole: everything in it is looked at, and nothing changed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from time import sleep

from edgetransfer.errors import DataError, EdgeTransferError, HeadError, RunFolderError
from edgetransfer.heads import LinearHead
from edgetransfer.reprs import short_repr
from edgetransfer.runs import RunFolder
from edgetransfer.runs.owning import NAME as LOCK
from edgetransfer.runs.owning import FolderOwner
from edgetransfer.runs.pending import RECORD, pending
from edgetransfer.runs.run_folder import HEAD, METRICS, REPORT
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder, read_checkpoint
from edgetransfer.stream.keeping.history import Moment, stream_folder
from edgetransfer.stream.keeping.id_file import read_ids
from edgetransfer.stream.keeping.journal import segments, whole_records
from edgetransfer.stream.keeping.metrics_log import damaged_lines
from edgetransfer.stream.keeping.recovery import CHECKPOINTS, IDS, JOURNAL, Found, look_leniently
from edgetransfer.stream.keeping.staleness import earlier_head, earlier_report, stale_names
from edgetransfer.stream.learner import blas_on_one_thread

logger = logging.getLogger(__name__)

AGAIN, APART = 2, 0.2  # how often, and seconds between, where somebody writes meanwhile


@dataclass(frozen=True, kw_only=True)
class Check:
    """How a run was found.

    Parameters
    ----------
    accepted
        Samples that are whole.
    running
        Whether somebody writes to it just now; then what follows from its state is not compared.
    findings
        What is wrong, each with its file; empty if nothing is.
    """

    accepted: int
    running: bool
    findings: tuple[str, ...]

    __repr__ = short_repr


def check(run: Path) -> Check:
    """Look at everything that a run holds.

    Raises
    ------
    RunFolderError
        If it is no stream's run, or its history is being changed just now.
    """
    looked = _looked(run)
    for _ in range(AGAIN):
        if not (looked.findings and looked.running):
            break
        # What was found may have been in the making: only what stays counts.
        sleep(APART)
        again = _looked(run)
        stay = tuple(finding for finding in again.findings if finding in looked.findings)
        looked = replace(again, findings=stay)
    return looked


def _looked(run: Path) -> Check:
    """As `check`, once."""
    folder = stream_folder(run, finish=False)
    running = _is_running(run)
    findings: list[str] = []
    change = _pending(run, findings)
    if running and change is not None:
        raise RunFolderError(f"{run}: {change} is being carried out; look again when it is done")
    if change is not None:
        findings.append(f"{run / RECORD}: {change} was cut off; the next start finishes it")
    found = look_leniently(run)
    # What is being written just now is not damaged.
    unfinished = found.unfinished if running else ()
    findings += [remark for remark in found.remarks if remark not in unfinished]
    if found.journal.damage is not None:
        findings.append(found.journal.damage)
    if not found.ids_intact and not found.ids:
        findings.append(f"{run / IDS}: damaged, and cannot be written anew from the journal")
    findings += _older(run, found, growing=running and found.journal.damage is None)
    if odd := damaged_lines(run / METRICS, growing=running):
        findings.append(f"{run / METRICS}: {odd} lines are damaged or torn")
    findings += _head(run)
    if not running and change is None and found.journal.damage is None:
        with blas_on_one_thread():
            findings += _derived(folder, found)
    return Check(accepted=found.accepted, running=running, findings=tuple(dict.fromkeys(findings)))


def _is_running(run: Path) -> bool:
    if not (run / LOCK).exists():
        return False
    try:
        FolderOwner(run, "check").release()
    except RunFolderError:
        return True
    return False


def _pending(run: Path, findings: list[str]) -> str | None:
    try:
        return pending(run)
    except DataError as error:
        findings.append(str(error))
        return None


def _older(run: Path, found: Found, *, growing: bool) -> list[str]:
    """What is wrong with what a start does not need, but a rollback would.

    Parameters
    ----------
    growing
        Whether the journal's end is being written just now.
    """
    findings = []
    for path in CheckpointFolder(run / CHECKPOINTS).names():
        checkpoint = read_checkpoint(path)
        if checkpoint is None:
            findings.append(f"{path}: damaged")
            continue
        count, checksum = checkpoint.run["ids"], checkpoint.run.get("ids_checksum")
        if found.ids_intact and read_ids(run / IDS, count, checksum) is None:
            findings.append(f"{path}: the ids of its samples are not those of {run / IDS}")
    expected = None
    for path in segments(run / JOURNAL):
        data = path.read_bytes()
        end = 0
        for record, after in whole_records(data):
            if expected is not None and record.n != expected:
                findings.append(f"{path}: record {expected} is missing (found {record.n})")
            expected, end = record.n + 1, after
        if end < len(data) and not (growing and path == found.journal.last):
            findings.append(f"{path}: damaged or torn at byte {end}")
    return findings


def _head(run: Path) -> list[str]:
    if not (run / HEAD).exists():
        return []
    try:
        LinearHead.load(run / HEAD)
    except HeadError as error:
        return [str(error)]
    return []


def _derived(folder: RunFolder, found: Found) -> list[str]:
    """What does not follow from the run's state, though it should."""
    if found.checkpoint is None:
        return []
    try:
        moment = Moment.at(folder, found.checkpoint, found.ids)
    except EdgeTransferError as error:
        return [str(error)]
    try:
        moment.replay(found.journal.records)
        files = moment.derived()
        names = set(stale_names(folder.path, files))
        older = {
            REPORT: earlier_report(folder.file(REPORT), files[REPORT]),
            HEAD: earlier_head(folder.file(HEAD), moment.learner.head, moment.run["head"]),
        }
    finally:
        moment.learner.close()
    for name in sorted(name for name in names if older.get(name)):
        logger.info("%s: right, but of an earlier version; a start writes it anew", name)
    return [
        f"{folder.path / name}: missing, stale or damaged; a start writes it anew"
        for name in sorted(names)
        if not older.get(name)
    ]
