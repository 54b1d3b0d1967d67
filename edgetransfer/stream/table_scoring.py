"""A stream's head on tables of features that it did not learn."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from edgetransfer.errors import DataError
from edgetransfer.features.table_folder import FeatureTables, open_tables
from edgetransfer.heads import LinearHead
from edgetransfer.metrics import Accuracy
from edgetransfer.reports.shared import Accuracies
from edgetransfer.stream.opening import features_identity

logger = logging.getLogger(__name__)


def scored_on_tables(folder: Path, head: LinearHead, identity: str) -> Accuracies:
    """``top1`` and ``mean_per_class`` on the rows of the test split, or else of val.

    Parameters
    ----------
    folder
        What `extract` made.
    identity
        Of the run's features, as `FeatureSource.identity`.

    Raises
    ------
    DataError
        If the features are of another making, there are no such rows, or one is of a class that
        was not learned.
    """
    tables = open_tables(folder)
    origin = tables.index.origin
    if features_identity(origin.identity, origin.preprocessing) != identity:
        raise DataError(f"{folder}: features of another backbone or preprocessing than the run's")
    split = _tested(tables)
    number = {name: i for i, name in enumerate(head.classes)}
    accuracy = Accuracy(len(head.classes))
    for file in tables.files:
        for rows in file.rows():
            own = rows.only(np.array(rows.labelled(split), np.int64))
            for label in own.labels:
                if label not in number:
                    raise DataError(f"{file.path}: the class {label!r} was not learned")
            if own.labels:
                labels = np.array([number[label] for label in own.labels], np.int64)
                accuracy.update(labels, head.predict(own.features))
            for place, reason in rows.problems.items():
                if rows.splits[place] == split:
                    logger.warning("skipped %s: %s", rows.ids[place], reason)
    return accuracy.shares


def _tested(tables: FeatureTables) -> str:
    splits = {name for file in tables.files for name in file.columns("split")["split"]}
    if "test" in splits:
        return "test"
    if "val" not in splits:
        raise DataError(f"{tables.folder}: it has neither a test nor a val split to test on")
    logger.warning("%s: no test split; its val split is taken", tables.folder)
    return "val"
