"""Which of two learners answers: the one that was right more often, by more than chance explains.

Both are tested on every sample before they learn it. Of the last samples only those count that one
of them got right and the other did not: were the two equally good, each of these would be a toss
of a coin (McNemar, "Note on the sampling error of the difference between correlated proportions",
Psychometrika 1947; on streams see Gama, Sebastião and Rodrigues, Machine Learning 2013, section 4).
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

SURE = 3.0  # standard deviations of a fair coin
LEAST = 20  # samples that one alone got right, below which nothing is decided


class PairedChoice:
    """Chooses between a first learner, the usual one, and a second one.

    It goes over to the second once that is ahead by more than three standard deviations, and back
    as soon as the first has made up for it: between the two nothing changes, so that two which are
    about as good do not take turns, and without evidence the first one answers.

    Parameters
    ----------
    window
        Samples that count, the last ones.

    Attributes
    ----------
    second
        Whether the second one answers.
    switches
        How often it went from one to the other.
    """

    def __init__(self, window: int) -> None:
        self.second = False
        self.switches = 0
        self._pairs: deque[tuple[bool, bool]] = deque(maxlen=window)

    @property
    def alone(self) -> tuple[int, int]:
        """How many of the last samples the first, and the second, alone got right."""
        first = sum(a and not b for a, b in self._pairs)
        return first, sum(b and not a for a, b in self._pairs)

    def update(self, first: bool, second: bool) -> None:
        """Count one sample by who was right; decide anew."""
        self._pairs.append((first, second))
        if first == second:
            return
        alone, others = self.alone
        decided = alone + others
        surely = decided >= LEAST and others - alone > SURE * decided**0.5
        if surely if not self.second else alone >= others:
            self.second = not self.second
            self.switches += 1

    def state(self) -> NDArray[np.uint8]:
        """(n, 2) who was right of the last samples; `second` and `switches` are beside it."""
        return np.array(self._pairs, np.uint8).reshape(-1, 2)

    def restore(self, pairs: NDArray[np.uint8], *, second: bool, switches: int) -> None:
        """Go on from what `state` returned."""
        self._pairs.clear()
        self._pairs.extend((bool(a), bool(b)) for a, b in pairs)
        self.second, self.switches = second, switches
