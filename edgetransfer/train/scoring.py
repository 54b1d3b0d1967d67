"""How right a head is on a table of features."""

from __future__ import annotations

from edgetransfer.features import FeatureTable
from edgetransfer.heads import LinearHead
from edgetransfer.metrics import accuracy_of
from edgetransfer.reports.shared import Accuracies
from edgetransfer.reports.train import ValidationRecord


def accuracies(head: LinearHead, table: FeatureTable) -> Accuracies | None:
    """A head's accuracies on labelled features; None if there are none."""
    if not len(table.labels):
        return None
    accuracy = accuracy_of(table.labels, head.predict(table.features), len(head.classes))
    return accuracy.shares


def validation(found: Accuracies | None) -> ValidationRecord:
    """Accuracies on validation photos, as a record of an epoch has them."""
    if found is None:
        return {}
    return {"val_top1": found["top1"], "val_mean_per_class": found["mean_per_class"]}
