"""What another process may ask of a stream that is running: to forget, and to relabel."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any

from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.runs.asking import Doing
from edgetransfer.stream.keeping.durable import DurableLearner
from edgetransfer.stream.keeping.journal import FULL
from edgetransfer.stream.learner import OnlineLearner
from edgetransfer.stream.learning.offers import Receipt

logger = logging.getLogger(__name__)


TICK = 0.25  # seconds between looks


class AskedChanges:
    """Makes the changes of a stream that other processes ask for.

    Parameters
    ----------
    learner
        Of the run; from now on others may ask.
    doing
        What does it; `do_asked` if None.
    """

    def __init__(self, learner: OnlineLearner, doing: Doing | None = None) -> None:
        self._durable = learner.durable
        self._doing = doing if doing is not None else partial(do_asked, learner.durable)
        self._letters = learner.letters()
        self._next_look = 0.0
        self._in_hand = False

    def due(self) -> bool:
        """Whether `do` is to be called, once; looks a few times a second."""
        now = monotonic()
        if self._in_hand or now < self._next_look:
            return False
        self._next_look = now + TICK
        self._in_hand = self._letters.full
        return self._in_hand

    def do(self) -> None:
        """Do what is asked. On a disk without room for an answer it is done again later."""
        try:
            self._letters.empty(self._done)
        except OSError as error:
            if error.errno not in FULL:
                raise
            logger.warning("%s: no room to do what is asked", self._durable.run.path)
        finally:
            self._in_hand = False

    def _done(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self._doing(request)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise RunFolderError(
                f"{self._durable.run.path}: not done, as the disk is full: {error}"
            ) from error


def do_asked(durable: DurableLearner, request: Mapping[str, Any]) -> dict[str, Any]:
    """Do what is asked, and say how the run stands then, as the commands do of a stopped run.

    Raises
    ------
    EdgeTransferError
        If it is no such request, or cannot be done.
    OSError
        If the disk is full; nothing was changed.
    """
    if request.get("do") == "forget":
        ids, classes = asked_ids(request, "ids"), asked_ids(request, "classes")
        removed = durable.remove(frozenset(ids), frozenset(classes))
        return {"removed": removed, **durable.report()}
    label = asked_label(request)
    receipts = durable.relabel(asked_ids(request, "ids"), label)
    return {**relabelled(receipts), **durable.report()}


def asked_ids(request: Mapping[str, Any], name: str) -> list[str]:
    """A list of strings of a request, each once.

    Raises
    ------
    UsageError
        If it is something else.
    """
    given = request.get(name)
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise UsageError(f"asked for what this version does not know: {name} is no list")
    return list(dict.fromkeys(given))


def asked_label(request: Mapping[str, Any]) -> str:
    """The new label of a request to relabel.

    Raises
    ------
    UsageError
        If it is something else.
    """
    label = request.get("label")
    if request.get("do") != "relabel" or not isinstance(label, str):
        raise UsageError("asked for what this version does not know; is it of another version?")
    return label


def relabelled(receipts: Sequence[Receipt]) -> dict[str, Any]:
    """What became of samples that were to get another label, in numbers; refused ones by id."""
    refused = {
        r.id: r.reason or "no such sample was accepted"
        for r in receipts
        if r.status in ("rejected", "unknown")
    }
    unchanged = sum(r.status == "duplicate" for r in receipts)
    done = len(receipts) - unchanged - len(refused)
    return {"changed": done, "unchanged": unchanged, "refused": refused}
