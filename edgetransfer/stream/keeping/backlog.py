"""What is acknowledged and not learned yet, and how the run stands with it.

A learner by steps decides about a refit after a fixed number of samples, however long the fit
takes: so its state is a function of the records alone. Nobody who offers a sample need wait for
that. While a decision is due and the fit not through, records that are on disk wait here, and what
is asked about them is answered as if they were learned.
"""

from __future__ import annotations

from collections import deque

from edgetransfer.stream.keeping.id_file import IdFile
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.learners import Learner
from edgetransfer.stream.learning.pool import UnlabelledPool
from edgetransfer.stream.learning.records import Record
from edgetransfer.types import Float32Array

RECORD = 500  # bytes that one takes beside its rows, in memory; in the journal it is fewer


class Backlog:
    """Records on their way from the journal to the learner, in their order.

    `known` and `pooled` may be asked from any thread.

    Parameters
    ----------
    learner
        What takes them in; nobody else gives it records while some are here.
    ids
        Keys of all samples that it was given.

    Attributes
    ----------
    bytes
        Of all that wait.
    accepted, labelled
        How many samples, and labels, are among them.
    """

    def __init__(self, learner: Learner, ids: IdFile) -> None:
        self._learner = learner
        self._ids = ids
        self._records: deque[Record] = deque()
        self._keys: set[bytes] = set()
        self._born: set[str] = set()
        self._pool: UnlabelledPool | None = None  # as it will be; None while nothing waits
        self.bytes = 0
        self.labelled = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def accepted(self) -> int:
        """Samples among the records."""
        return len(self._keys)

    @property
    def first(self) -> Record | None:
        """The next to be learned; None if nothing waits."""
        return self._records[0] if self._records else None

    def add(self, record: Record) -> None:
        """Let a record wait that is on disk: a ``sample``, a ``label`` or a ``flush``."""
        pool = self._pool if self._pool is not None else self._learner.pool.copy()
        if (key := record.key) is not None:
            self._keys.add(key)
        if record.label is not None:
            pool.leave(id_key(record.id))
            self.labelled += 1
            if not self._learner.has_class(record.label):
                self._born.add(record.label)
        elif record.kind == "sample" and record.rows is not None:
            pool.enter(id_key(record.id), record.rows)
        self._pool = pool
        self._records.append(record)
        self.bytes += _weight(record)

    def learned(self) -> None:
        """Let go of the first, which the learner has taken in."""
        record = self._records.popleft()
        self.bytes -= _weight(record)
        if (key := record.key) is not None:
            self._keys.discard(key)
        if record.label is not None:
            self.labelled -= 1
            self._born.discard(record.label)
        if not self._records:
            self._pool = None

    # How the run stands with them

    def known(self, key: bytes) -> bool:
        """Whether a sample of this key was accepted."""
        return key in self._keys or key in self._ids  # in this order: it goes from there to here

    def pooled(self, key: bytes) -> Float32Array | None:
        """The rows, (views, D), of a sample that has no label yet; None if none of this key has."""
        pool = self._pool
        return (self._learner.pool if pool is None else pool).get(key)

    def has_class(self, name: str) -> bool:
        """Whether a class was born, or is about to be."""
        return name in self._born or self._learner.has_class(name)

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self._learner.classes) + len(self._born)


def _weight(record: Record) -> int:
    return RECORD + (0 if record.rows is None else record.rows.nbytes)
