"""Asking the process that owns a run to change it: a letter box in the run's folder.

Whoever finds a run owned leaves a request in ``asked``, and waits for the answer beside it:

    asked/NUMBER.json     what is to be done
    asked/NUMBER.answer   what came of it; whoever asked takes it away

A request is done before it is answered and goes after that, so that one which is cut off is done
once more: it has to be such that doing it twice is doing it once. Where the owner ends without
having looked, who asked withdraws the request and does it himself.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, sleep, time, time_ns
from typing import Any

from edgetransfer import errors
from edgetransfer.atomic import remove_leftovers, write_atomically
from edgetransfer.errors import EdgeTransferError, OwnedError, RunFolderError
from edgetransfer.runs.owning import TRIES, owner_lives
from edgetransfer.untrusted_json import json_value

logger = logging.getLogger(__name__)

FOLDER = "asked"
APART = 0.05  # seconds between looks at whether there is an answer
PATIENCE = 60.0  # seconds until it is told that the owner does not answer yet
STALE = 3600.0  # seconds that an answer is kept which nobody fetches

Doing = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Does what is asked, and says what came of it; both are JSON values."""


def done_in(
    run: Path,
    stopped: Callable[[], dict[str, Any]],
    request: Mapping[str, Any],
) -> dict[str, Any]:
    """Change a run, or have it changed by the process that owns it.

    Parameters
    ----------
    stopped
        Changes a run that nobody owns.
    request
        The same as JSON values; doing it twice is doing it once.

    Raises
    ------
    OwnedError
        If the owner cannot be asked.
    EdgeTransferError
        What the change failed at, wherever.
    """
    while True:
        try:
            return stopped()
        except OwnedError as error:
            if not error.listens:
                raise
            answer = _asked(run, request)
        if answer is not None:
            return answer


def _asked(run: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer of the run's owner; None if it ended without one."""
    folder = run / FOLDER
    path = folder / f"{time_ns():020d}-{os.getpid()}.json"
    answer = path.with_suffix(".answer")
    _left(path, json.dumps(request).encode())
    told, begun = False, monotonic()
    try:
        while not answer.exists():
            if not owner_lives(run) and not answer.exists():
                return None
            if not told and monotonic() - begun > PATIENCE:
                told = True
                logger.warning(
                    "%s: asked the process that has it, which is busy or paused; Ctrl-C withdraws "
                    "what was asked",
                    run,
                )
            sleep(APART)
        text = answer.read_text()
    finally:
        _swept(folder, path, answer)
    given: dict[str, Any] = json_value(text)
    if "error" in given:
        kind = getattr(errors, str(given.get("kind")), EdgeTransferError)
        raise kind(str(given["error"]))
    return given


def _left(path: Path, request: bytes) -> None:
    """Put a request into its folder, which others may just be taking away."""
    for _ in range(TRIES):
        try:
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, request)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RunFolderError(
                f"{path.parent.parent}: another process has it, and cannot be asked: {error}"
            ) from error
        return
    raise RunFolderError(f"{path.parent}: it goes again and again; try once more")


def _swept(folder: Path, *paths: Path) -> None:
    with contextlib.suppress(OSError):
        for path in paths:
            path.unlink(missing_ok=True)
        folder.rmdir()


class LetterBox:
    """What others ask of the owner of a run, for the owner.

    Parameters
    ----------
    run
        The folder that is owned.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run / FOLDER

    @property
    def full(self) -> bool:
        """Whether something is asked; a look at the folder."""
        return any(self._requests())

    def empty(self, do: Doing) -> None:
        """Do what is asked, in the order in which it was, and answer; failures are answers.

        Raises
        ------
        OSError
            If there is no room for an answer; what was asked is then done again.
        """
        if not self._folder.is_dir():
            return
        remove_leftovers(self._folder, after=STALE)
        for path in self._requests():
            try:
                request = json_value(path.read_text())
                if not isinstance(request, dict):
                    raise TypeError
            except FileNotFoundError:  # withdrawn
                continue
            except (ValueError, TypeError, RecursionError):
                said: Mapping[str, Any] = {"error": f"{path}: not a request", "kind": "UsageError"}
            else:
                said = _outcome(do, request)
            write_atomically(path.with_suffix(".answer"), json.dumps(said).encode())
            path.unlink(missing_ok=True)
        self._tidy()

    def _requests(self) -> list[Path]:
        try:
            return sorted(self._folder.glob("*.json"))
        except OSError:
            return []

    def _tidy(self) -> None:
        """Let go of answers that nobody has come for."""
        for path in self._folder.glob("*.answer"):
            with contextlib.suppress(OSError):
                if time() - path.stat().st_mtime > STALE:
                    path.unlink()
        with contextlib.suppress(OSError):
            self._folder.rmdir()


def _outcome(do: Doing, request: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return do(request)
    except EdgeTransferError as error:
        return {"error": str(error), "kind": type(error).__name__}
