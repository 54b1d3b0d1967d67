"""An alarm for a stream that has changed: the Page-Hinkley test on the errors.

Page, "Continuous inspection schemes" (Biometrika 1954); for error rates see Gama, Sebastião and
Rodrigues, "On evaluating stream learning algorithms" (Machine Learning 2013), section 5.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(kw_only=True)
class PageHinkley:
    """Alarms when the mean error rises by more than ``tolerance`` for long enough.

    With errors x_1, x_2, … since the last alarm and their running mean m_t, the sum
    S_t = sum_i (x_i - m_i - tolerance) is compared with its least value so far: an alarm is
    raised when it stands more than ``threshold`` above that, and all begins anew.

    Parameters
    ----------
    tolerance
        Rise of the error rate that is no drift, 0 to 1.
    threshold
        The sum at which to alarm: larger is later and surer. An error rate that rises by r is
        found after about threshold / (r - tolerance) samples.
    least
        Samples before the first alarm.
    """

    tolerance: float = 0.02
    threshold: float = 50.0
    least: int = 100
    count: int = 0
    mean: float = 0.0
    total: float = 0.0
    lowest: float = 0.0
    alarms: int = 0
    last_alarm: int | None = None
    seen: int = 0

    def update(self, wrong: bool) -> bool:
        """Count one prediction; True if this one raises the alarm."""
        self.seen += 1
        self.count += 1
        self.mean += (float(wrong) - self.mean) / self.count
        self.total += float(wrong) - self.mean - self.tolerance
        self.lowest = min(self.lowest, self.total)
        if self.count < self.least or self.total - self.lowest <= self.threshold:
            return False
        self.alarms += 1
        self.last_alarm = self.seen
        self.count, self.mean, self.total, self.lowest = 0, 0.0, 0.0, 0.0
        return True

    def state(self) -> dict[str, Any]:
        """Everything that a checkpoint needs."""
        return asdict(self)
