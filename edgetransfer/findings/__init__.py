"""What is doubtful about a data set: wrong labels, copies, outliers.

Below `examined` there are pure functions over arrays.
"""

from edgetransfer.findings.duplicates import (
    Duplicates,
    candidates,
    copies_among,
    grouped,
    pixel_candidates,
)
from edgetransfer.findings.examining import Examination, examined
from edgetransfer.findings.label_errors import LabelDoubts, label_doubts
from edgetransfer.findings.neighbours import Neighbours, nearest
from edgetransfer.findings.outliers import outlier_scores
from edgetransfer.findings.paired import PairedTest, mcnemar
from edgetransfer.findings.projection import plane_of
from edgetransfer.findings.scored import Scored, unseen

__all__ = [
    "Duplicates",
    "Examination",
    "LabelDoubts",
    "Neighbours",
    "PairedTest",
    "Scored",
    "candidates",
    "copies_among",
    "examined",
    "grouped",
    "label_doubts",
    "mcnemar",
    "nearest",
    "outlier_scores",
    "pixel_candidates",
    "plane_of",
    "unseen",
]
