"""Which messages are in hand, and which the journal has: what is told to the broker, and when."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from threading import Condition
from time import monotonic
from typing import Any, Generic, TypeVar

from edgetransfer.data.streams.arrivals import Reply

Key = TypeVar("Key", bound=Hashable)
LAST_SECONDS = 10.0  # that the end of a source waits for what is in hand


class InHand(Generic[Key]):
    """Messages between their arrival and their acknowledgement.

    Parameters
    ----------
    reply
        Told what became of each, as of `Arrival`.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._done: OrderedDict[Key, bool] = OrderedDict()  # in the order of their arrival
        self._changed = Condition()

    def take(self, key: Key) -> Reply:
        """Note that a message has arrived; returns what is to be told of its outcome."""
        with self._changed:
            self._done[key] = False

        def done(outcome: Mapping[str, Any]) -> None:
            self._reply(outcome)
            with self._changed:
                if key in self._done:
                    self._done[key] = True
                self._changed.notify_all()

        return done

    def __contains__(self, key: Key) -> bool:
        with self._changed:
            return key in self._done

    def kept(self, *, in_order: bool = False) -> list[Key]:
        """Those that the journal has, and that were not given out before; they are let go of.

        Parameters
        ----------
        in_order
            None behind one that it has not, for a broker that keeps one place alone.
        """
        with self._changed:
            found = []
            for key, done in self._done.items():
                if done:
                    found.append(key)
                elif in_order:
                    break
            for key in found:
                del self._done[key]
            return found

    def forget(self) -> None:
        """Let go of all: the broker will send them again."""
        with self._changed:
            self._done.clear()

    def finish(self, tell: Callable[[], object]) -> None:
        """Call ``tell`` until nothing is in hand, or for `LAST_SECONDS`."""
        until = monotonic() + LAST_SECONDS
        while True:
            tell()
            with self._changed:
                if not self._done or monotonic() > until:
                    return
                if not any(self._done.values()):
                    self._changed.wait(0.1)
