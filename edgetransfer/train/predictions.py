"""What several photos are taken for: a list, with what a notebook wants of it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetransfer.errors import EdgeTransferError
from edgetransfer.reprs import LONGEST
from edgetransfer.train.prediction import Prediction
from edgetransfer.train.prediction_file import check_ending, prediction_file

if TYPE_CHECKING:
    import pandas

SHOWN = 20  # rows of a table in a notebook


class Predictions(list[Prediction]):
    """A list of predictions that is short at a prompt, and a table in a notebook.

    Examples
    --------
    >>> from edgetransfer import Prediction, Predictions
    >>> found = Predictions([Prediction(id="a.jpg", classes=("cat",), probabilities=(0.9,))])
    >>> found.to_frame()[["id", "class", "probability"]].to_dict("records")
    [{'id': 'a.jpg', 'class': 'cat', 'probability': 0.9}]
    """

    def __init__(self, found: Iterable[Prediction] = ()) -> None:
        super().__init__(found)

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for found in self:
            counts[_said(found)] = counts.get(_said(found), 0) + 1
        often = sorted(counts.items(), key=lambda pair: -pair[1])
        text = f"Predictions({len(self):,} photo{'' if len(self) == 1 else 's'}"
        for name, times in often:
            part = f"; {name[:40]!r} {times:,}"
            if len(text) + len(part) > LONGEST - len("; …)"):
                text += "; …"
                break
            text += part
        return text + ")"

    def to_dict(self) -> list[dict[str, Any]]:
        """The fields of each by name: what ``predict --json`` prints."""
        return [found.to_dict() for found in self]

    def to_frame(self) -> pandas.DataFrame:
        """A row a photo: ``id``, ``class``, ``probability``, ``unknown``, ``error``, ``classes``.

        Raises
        ------
        EdgeTransferError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise EdgeTransferError("a frame needs pandas: pip install pandas") from error
        rows = [
            {
                "id": found.id,
                "class": found.classes[0] if found.classes else None,
                "probability": found.probabilities[0] if found.probabilities else None,
                "unknown": found.unknown,
                "error": found.error,
                "classes": dict(zip(found.classes, found.probabilities, strict=True)),
            }
            for found in self
        ]
        names = ["id", "class", "probability", "unknown", "error", "classes"]
        return pandas.DataFrame(rows, columns=names)

    def save(self, path: Path | str) -> None:
        """Write all to a file, as its ending says: ``.parquet``, ``.jsonl`` or ``.csv``.

        Raises
        ------
        UsageError
            If it ends otherwise, or pyarrow is not installed.
        EdgeTransferError
            If it cannot be written.
        """
        check_ending("path", Path(path))
        with prediction_file(Path(path), max((len(p.classes) for p in self), default=1)) as write:
            for found in self:
                write(found)

    def _repr_html_(self) -> str:
        """A table of the first ones, as a notebook shows it."""
        rows = "".join(
            f"<tr><td>{escape(found.id)}</td><td>{escape(_said(found))}</td>"
            f"<td>{found.probabilities[0]:.1%}</td></tr>"
            if found.probabilities
            else f"<tr><td>{escape(found.id)}</td><td colspan=2>{escape(_said(found))}</td></tr>"
            for found in self[:SHOWN]
        )
        more = f"<p>and {len(self) - SHOWN:,} more</p>" if len(self) > SHOWN else ""
        head = "<tr><th>photo</th><th>class</th><th>probability</th></tr>"
        return f"<table>{head}{rows}</table>{more}"


def _said(found: Prediction) -> str:
    if found.error is not None:
        return f"unusable: {found.error}"
    return "unknown" if found.unknown or not found.classes else found.classes[0]
