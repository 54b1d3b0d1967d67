"""Samples from a stream of JSON Lines: standard input, a pipe or a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from threading import Event
from typing import BinaryIO

from edgetransfer.data.streams.arrivals import Arrival, Ledger, Reply, no_reply, read_fields
from edgetransfer.errors import DataError
from edgetransfer.untrusted_json import json_object


class JsonLinesSource:
    """One object a line: ``{"path"|"base64", "label", "id"}``; see `read_fields`.

    A line that is no such thing is answered with its reason, and the next one is read.

    Parameters
    ----------
    stream
        Open for reading, binary; closed at the end.
    longest
        Bytes of a line at most.
    reply
        Told what became of each line.
    """

    def __init__(self, stream: BinaryIO, *, longest: int, reply: Reply = no_reply) -> None:
        self._stream = stream
        self._longest = longest
        self._reply = reply

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        del ledger  # duplicates are answered like everything else
        with self._stream:
            yield from self._read(stop)

    def _read(self, stop: Event) -> Iterator[Arrival]:
        number = 0
        while not stop.is_set():
            line = self._stream.readline(self._longest + 1)
            if not line:
                return
            number += 1
            if len(line) > self._longest:
                while line and not line.endswith(b"\n"):
                    line = self._stream.readline(self._longest)
                yield self._broken(number, f"longer than {self._longest} bytes")
            elif line.strip():
                yield self._arrival(number, line)

    def _arrival(self, number: int, line: bytes) -> Arrival:
        try:
            return replace(read_fields(json_object(line), files=True), reply=self._reply)
        except (ValueError, DataError) as error:
            return self._broken(number, str(error))

    def _broken(self, number: int, problem: str) -> Arrival:
        return Arrival(id=f"line {number}", problem=problem, reply=self._reply)
