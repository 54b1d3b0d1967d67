"""A stream's run: gone on with, looked at, taken back, made to forget."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetransfer.api.calling import settings_by_name, taken
from edgetransfer.api.reports import Report, StreamReport
from edgetransfer.settings.stream import StreamSettings

if TYPE_CHECKING:
    from threading import Event

    from edgetransfer.stream import Check, RolledBack, SavedState


@settings_by_name(StreamSettings)
def run_stream(
    settings: StreamSettings | None = None, *, stop: Event | None = None, **given: Any
) -> StreamReport:
    """Learn from images as they arrive, until the source ends, as the command ``stream``.

    The run folder is gone on with if it is there; `OnlineLearner` learns one image at a time.

    Parameters
    ----------
    settings
        Where images come from and what is made of them; or the settings below by name.
    stop
        Set it from another thread to finish what is in hand, save and return.

    Raises
    ------
    EdgeTransferError
        If backbone, engine, run folder or source cannot be used. What was acknowledged is safe.

    Examples
    --------
    >>> import edgetransfer
    >>> report = edgetransfer.run_stream(
    ...     source="folder:photos/train", once=True, out="learned", backbone="small.onnx"
    ... )
    >>> report
    StreamReport(accepted=..., classes=3, top1=...)
    """
    from edgetransfer.stream import run_stream as run

    return StreamReport(run(taken(StreamSettings, settings, given), stop=stop))


def check_stream(run: str | Path) -> Check:
    """Look whether all of a stream's run is whole, and change nothing.

    Parameters
    ----------
    run
        A folder of `run_stream`.

    Raises
    ------
    RunFolderError
        If it is no stream's run.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.check_stream("live").findings
    ()
    """
    from edgetransfer.stream import check

    return check(Path(run))


def list_checkpoints(run: str | Path) -> list[SavedState]:
    """The whole checkpoints of a stream's run, oldest first.

    Parameters
    ----------
    run
        A folder of `run_stream`.

    Raises
    ------
    RunFolderError
        If it is no stream's run.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.list_checkpoints("live")[0].accepted
    0
    """
    from edgetransfer.stream import saved_states

    return saved_states(Path(run))


def rollback_stream(run: str | Path, to: int | str, *, dry_run: bool = False) -> RolledBack:
    """Return a stream's run to an earlier moment; what it held is set aside.

    Parameters
    ----------
    run
        A folder of `run_stream`.
    to
        A number of accepted samples, or a local time such as ``2025-03-01T12:00``.
    dry_run
        Only find out what would be done.

    Raises
    ------
    UsageError
        If no checkpoint is as old as that.
    RunFolderError
        If it is no stream's run, or the stream is running.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.rollback_stream("live", 0, dry_run=True).accepted
    0
    """
    from edgetransfer.stream import rollback

    return rollback(Path(run), str(to), dry_run=dry_run)


def forget_samples(
    run: str | Path, *, ids: Iterable[str] = (), classes: Iterable[str] = ()
) -> Report:
    """Remove samples, or whole classes, from a stream's memory for good.

    A stream that is running is asked to do it.

    Parameters
    ----------
    run
        A folder of `run_stream`.
    ids
        Of samples, as they arrived.
    classes
        Of which all samples leave.

    Raises
    ------
    UsageError
        If nothing is named, or a class is not known.
    RunFolderError
        If it is no stream's run, or in use by a process that cannot be asked.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.forget_samples("live", classes=["red"])["classes"]
    2
    """
    from edgetransfer.stream import forget

    given = [ids] if isinstance(ids, str) else ids
    named = [classes] if isinstance(classes, str) else classes
    return Report(forget(Path(run), ids=frozenset(given), classes=frozenset(named)))


def relabel_samples(run: str | Path, ids: Iterable[str], label: str) -> Report:
    """Give samples of a stream another label, as if they had always had it.

    A stream that is running is asked to do it.

    Parameters
    ----------
    run
        A folder of `run_stream`, learned by statistics.
    ids
        Of samples, as they arrived.
    label
        A class, new or not.

    Returns
    -------
    A report with ``changed``, ``unchanged``, and ``refused``: by id, why a sample stays as it
    was.

    Raises
    ------
    UsageError
        If no id is named, or the run learns by ``replay``.
    RunFolderError
        If it is no stream's run, or in use by a process that cannot be asked.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.relabel_samples("live", ["no such photo"], "red")["changed"]
    0
    """
    from edgetransfer.stream import relabel

    given = (ids,) if isinstance(ids, str) else tuple(ids)
    return Report(relabel(Path(run), given, label))
