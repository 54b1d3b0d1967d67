"""What listens until it is told to stop: predictions for programs, and a page that is taught."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

from edgetransfer.api.calling import settings_by_name, taken
from edgetransfer.api.reports import Report, StreamReport
from edgetransfer.settings.serve import ServeSettings
from edgetransfer.settings.teach import TeachSettings


@settings_by_name(ServeSettings)
def serve_run(
    settings: ServeSettings | None = None,
    *,
    stop: Event | None = None,
    started: Callable[[str], None] | None = None,
    **given: Any,
) -> Report:
    """Answer other programs, and a page in the browser, what photos show.

    It returns when ``stop`` is set, from another thread.

    Parameters
    ----------
    settings
        Of what run and where; or the settings below by name.
    stop
        Set it to answer what is in hand and return.
    started
        Told the address, once it answers.

    Raises
    ------
    EdgeTransferError
        If the run or the address cannot be used.

    Examples
    --------
    >>> from threading import Event
    >>> import edgetransfer
    >>> stop = Event()
    >>> stop.set()
    >>> edgetransfer.serve_run(run="run", port=0, stop=stop)["requests"]
    0
    """
    from edgetransfer.serve import run_server

    asked = taken(ServeSettings, settings, given)
    return Report(run_server(asked, stop=stop or Event(), started=started))


@settings_by_name(TeachSettings)
def teach_classifier(
    settings: TeachSettings | None = None,
    *,
    stop: Event | None = None,
    started: Callable[[str], None] | None = None,
    **given: Any,
) -> StreamReport:
    """Open a page where a classifier is taught, photo by photo.

    It returns when ``stop`` is set, from another thread; `OnlineLearner` is taught by a program.

    Parameters
    ----------
    settings
        The run and where its page is; or the settings below by name.
    stop
        Set it to save and return.
    started
        Told the address, once it answers.

    Raises
    ------
    EdgeTransferError
        If backbone, engine, run folder or address cannot be used.

    Examples
    --------
    >>> from threading import Event
    >>> import edgetransfer
    >>> stop = Event()
    >>> stop.set()
    >>> edgetransfer.teach_classifier(run="taught", backbone="small.onnx", port=0, stop=stop)
    StreamReport(accepted=0, classes=0, top1=None)
    """
    from edgetransfer.teach import run_teaching

    asked = taken(TeachSettings, settings, given)
    return StreamReport(run_teaching(asked, stop=stop or Event(), started=started))
