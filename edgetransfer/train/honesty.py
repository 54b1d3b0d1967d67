"""What is known of a head without test photos, for the report and for a reader."""

from __future__ import annotations

import logging

from edgetransfer.heads import Honest, calibration_error
from edgetransfer.metrics import Accuracy, wilson_interval
from edgetransfer.reports.train import CalibrationRecord, HonestRecord

logger = logging.getLogger(__name__)

FEW = 5  # photos of a class, below which its accuracy says nothing
HIDDEN = 0.5  # of the overall accuracy: a class below this is hidden by it


def honest_record(honest: Honest, classes: tuple[str, ...], n_photos: int) -> HonestRecord:
    """Accuracy on photos that the scoring heads had not seen, with 95 % intervals.

    Parameters
    ----------
    n_photos
        How many photos the head was fitted to; those not tested occur twice, or are the only one
        of their class.
    """
    tested = honest.tested
    labels, logits = honest.labels[tested], honest.logits[tested]
    accuracy = Accuracy(len(classes))
    accuracy.update(labels, logits.argmax(axis=1))
    right, totals = accuracy.confusion.diagonal(), accuracy.confusion.sum(axis=1)
    return {
        "method": honest.method,
        "n": accuracy.count,
        "not_tested": n_photos - accuracy.count,
        "top1": accuracy.top1,
        "interval": list(wilson_interval(int(right.sum()), accuracy.count)),
        "mean_per_class": accuracy.mean_per_class,
        "per_class": {
            name: {
                "n": int(total),
                "accuracy": int(hits) / int(total),
                "interval": list(wilson_interval(int(hits), int(total))),
            }
            for name, hits, total in zip(classes, right, totals, strict=True)
            if total
        },
    }


def calibration_record(honest: Honest, uncalibrated: Honest) -> CalibrationRecord:
    """The expected calibration error on left-out photos, before a temperature and with it."""
    labels = honest.labels[honest.tested]
    return {
        "error_before": calibration_error(uncalibrated.probabilities(), labels),
        "error": calibration_error(honest.probabilities(), labels),
    }


def hidden_classes(report: HonestRecord) -> list[str]:
    """Classes that the overall accuracy hides: half as good or worse, the worst first."""
    weak = [
        (found["accuracy"], name)
        for name, found in report["per_class"].items()
        if found["n"] >= FEW and found["accuracy"] < HIDDEN * report["top1"]
    ]
    return [name for _, name in sorted(weak)]


def warn_of_hidden(report: HonestRecord) -> None:
    """Name the classes that the overall accuracy hides."""
    hidden = hidden_classes(report)
    if hidden:
        named = ", ".join(
            f"{name} ({report['per_class'][name]['accuracy']:.0%})" for name in hidden[:3]
        )
        more = f" and {len(hidden) - 3} more" if len(hidden) > 3 else ""
        logger.warning(
            "%.0f%% are right overall, but far fewer of %s%s", 100 * report["top1"], named, more
        )
