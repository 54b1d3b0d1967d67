"""The heads of an exact memory: the newest one, at once or nearly, and what it is chosen by."""

from __future__ import annotations

from edgetransfer.heads import Honest, LinearHead
from edgetransfer.heads.statistics_solver import Choice, StatisticsSolver
from edgetransfer.stream.learning.exact_memory import ExactMemory
from edgetransfer.stream.learning.newest_head import NewestHead

CHOSEN_ANEW = 1.5  # times as many samples as when it was last chosen what suits them
FEW = 4  # times as many features as samples: then heads are made of the rows, in far less time


class SolvedHeads:
    """Solves heads from what is remembered, and knows which of them are still good.

    Parameters
    ----------
    dimension
        The length D of a row.
    memory
        What heads are solved from.

    Attributes
    ----------
    honest
        What is known of the last `exact` head on the samples that it was scored without.
    """

    def __init__(self, dimension: int, memory: ExactMemory) -> None:
        self.honest: Honest | None = None
        self._dimension = dimension
        self._memory = memory
        self._solver = StatisticsSolver(map=memory.map)
        self._choice: tuple[Choice, int] | None = None  # and for how many samples
        self._solved: tuple[int, LinearHead] | None = None
        self._newest = NewestHead(self._quickly_solved, self._choose_anew, self.exact)

    def exact(self) -> LinearHead:
        """The head of all that is remembered, chosen among all candidates."""
        memory = self._memory
        if not memory.by_class.any():
            return LinearHead.empty(self._dimension)
        with memory.lock:
            if self._solved is not None and self._solved[0] == memory.version:
                return self._solved[1]
            version, learned = memory.version, int(memory.by_class.sum())
            few = self.of_few()
            if few is not None:
                head, choice, self.honest = few
                self._choice, self._solved = (choice, learned), (version, head)
                return head
            moments, classes = memory.statistics.moments(), tuple(memory.classes)
            rows, labels = memory.kept.table()
        choice, honest = self._solver.choose(moments, rows, labels)
        head = self._solver.solve(moments, classes, choice)
        with memory.lock:
            self.honest = honest
            self._choice = (choice, learned)
            self._solved = (version, head)
        return head

    def newest(self) -> LinearHead:
        """The head to predict by: as above, or a fraction of a second older while samples come."""
        if not self._memory.by_class.any():
            return LinearHead.empty(self._dimension)
        return self._newest.get()

    def changed(self) -> None:
        """Say that the memory is another one."""
        self._newest.changed()

    def close(self) -> None:
        """Let go of the thread."""
        self._newest.close()

    def of_few(self) -> tuple[LinearHead, Choice, Honest] | None:
        """The head while the kept rows are all there are, and few; None from then on."""
        memory = self._memory
        learned = int(memory.by_class.sum())
        if FEW * learned > self._dimension or not memory.by_class.all():
            return None
        if len(memory.classes) < 2 or not memory.all_kept():
            return None
        return self._solver.of_few(*memory.kept.table(), tuple(memory.classes))

    def _quickly_solved(self) -> LinearHead:
        """A head of what was chosen before, or of few samples the exact one."""
        memory = self._memory
        with memory.lock:
            if self._solved is not None and self._solved[0] == memory.version:
                return self._solved[1]
            few = self.of_few()
            if few is not None:
                self._choice = (few[1], int(memory.by_class.sum()))
                return few[0]
            moments, classes = memory.statistics.moments(), tuple(memory.classes)
            choice = None if self._choice is None else self._choice[0]
            rows, _ = memory.kept.table() if choice is None else (None, None)
        if choice is None:
            assert rows is not None
            choice = self._solver.usual(moments, rows)
        return self._solver.solve(moments, classes, choice, precise=False)

    def _choose_anew(self) -> None:
        """Choose what suits the samples, if that was last done for far fewer."""
        learned = int(self._memory.by_class.sum())
        if FEW * learned <= self._dimension:
            return
        if self._choice is None or learned > CHOSEN_ANEW * self._choice[1]:
            self.exact()
