"""What was found, as records: one a finding, or one a photo."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edgetransfer.data import Sample
from edgetransfer.findings import Examination, grouped
from edgetransfer.reports.audit import FindingsRecord

COLUMNS = (
    *("path", "label", "split", "doubtful", "suggested", "confidence"),
    *("copy_of", "likeness", "mirrored", "quarter_turns", "part", "outlier"),
)


def findings_of(found: Examination) -> FindingsRecord:
    """The findings, the most doubtful first."""
    return {
        "wrong_labels": [
            {
                "id": found.samples[place].id,
                "split": found.split_of(place),
                "label": found.classes[found.labels[place]],
                "suggested": found.classes[found.suggested[place]],
                "confidence": float(found.confidence[place]),
            }
            for place in found.wrong.tolist()
        ],
        "duplicates": [
            {
                "ids": [found.samples[first].id, found.samples[second].id],
                "splits": [found.split_of(first), found.split_of(second)],
                "labels": [found.classes[found.labels[p]] for p in (first, second)],
                "likeness": float(likeness),
                "mirrored": orientation >= 4,
                "quarter_turns": orientation % 4,
                "part": part,
            }
            for (first, second), likeness, orientation, part in zip(
                found.duplicates.pairs.tolist(),
                found.duplicates.likeness,
                found.duplicates.orientations.tolist(),
                found.duplicates.parts.tolist(),
                strict=True,
            )
        ],
        "compared_all": found.compared_all,
        "outliers": [
            {
                "id": found.samples[place].id,
                "split": found.split_of(place),
                "label": found.classes[found.labels[place]],
                "score": float(found.outlier_scores[place]),
            }
            for place in found.outliers.tolist()
        ],
    }


def manifest_rows(found: Examination, folder: Path) -> list[dict[str, Any]]:
    """A row a photo, in the order of the data set; paths are seen from the manifest's folder.

    It is a manifest that `edgetransfer train` takes: once the rows that are marked have been
    looked at, with ``label`` mended or the row deleted, it is the data set.
    """
    wrong = set(found.wrong.tolist())
    outliers = set(found.outliers.tolist())
    likest = {
        pair: (float(likeness), orientation, part)
        for pair, likeness, orientation, part in zip(
            map(tuple, found.duplicates.pairs.tolist()),
            found.duplicates.likeness,
            found.duplicates.orientations.tolist(),
            found.duplicates.parts.tolist(),
            strict=True,
        )
    }
    original = {place: group[0] for group in grouped(found.duplicates.pairs) for place in group[1:]}
    rows = []
    for place, sample in enumerate(found.samples):
        first = original.get(place)
        likeness, orientation, part = likest.get((first, place), (None, 0, False))
        rows.append(
            {
                "path": _seen_from(folder, sample),
                "label": found.classes[found.labels[place]],
                "split": found.split_of(place),
                "doubtful": _mark(place in wrong),
                "suggested": found.classes[found.suggested[place]] if place in wrong else "",
                "confidence": f"{found.confidence[place]:.4f}",
                "copy_of": "" if first is None else _seen_from(folder, found.samples[first]),
                "likeness": "" if likeness is None else f"{likeness:.4f}",
                "mirrored": _mark(orientation >= 4),
                "quarter_turns": orientation % 4 or "",
                "part": _mark(part),
                "outlier": _mark(place in outliers),
            }
        )
    return rows


def _mark(there: bool) -> str:
    return "yes" if there else ""


def _seen_from(folder: Path, sample: Sample) -> str:
    if not isinstance(sample.source, Path):
        return sample.id
    return os.path.relpath(sample.source, folder).replace(os.sep, "/")
