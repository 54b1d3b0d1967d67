"""What jobs report: dictionaries with the keys of ``docs/json.md``, and names for what counts.

A report is equal to, and written as, the JSON that the command prints; a prompt shows it in a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgetransfer.reports.train import validated
from edgetransfer.reprs import short_record


class Report(dict[str, Any]):
    """A job's report: a dictionary, shown by what counts of it.

    Examples
    --------
    >>> from edgetransfer import Report
    >>> Report(accepted=20, curve=list(range(1000)))
    Report(accepted=20, curve=<1,000 items>)
    """

    shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        names = self.shown or tuple(self)
        values = {name: getattr(self, name) if self.shown else self[name] for name in names}
        return short_record(type(self).__name__, {n: _brief(v) for n, v in values.items()})

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is doubtful, a sentence each."""
        return tuple(self.get("warnings", ()))


class TrainingReport(Report):
    """The report of a training, linear or of a whole backbone.

    Examples
    --------
    >>> from edgetransfer import TrainingReport
    >>> TrainingReport(n_classes=2, solver="lda", final={"top1": 0.9, "mean_per_class": 0.8})
    TrainingReport(top1=0.9, mean_per_class=0.8, n_classes=2, solver='lda')
    """

    shown = ("top1", "mean_per_class", "n_classes", "solver")

    @property
    def top1(self) -> float | None:
        """The share of unseen photos that are right: test, else validation, else leave-one-out."""
        return self._reached("top1")

    @property
    def mean_per_class(self) -> float | None:
        """The mean over classes of the share that is right; on the photos of `top1`."""
        return self._reached("mean_per_class")

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return int(self["n_classes"])

    @property
    def solver(self) -> str:
        """What fitted the head."""
        return str(self["solver"])

    def _reached(self, name: str) -> float | None:
        if self.get("final"):
            return _number(self["final"].get(name))
        found: Mapping[str, Any] = validated(self) or self.get("honest", {})
        return _number(found.get(name))


class Evaluation(Report):
    """How good a classifier is on labelled photos.

    Examples
    --------
    >>> from edgetransfer import Evaluation
    >>> Evaluation(n=40, top1=0.95, mean_per_class=0.9)
    Evaluation(n=40, top1=0.95, mean_per_class=0.9)
    """

    shown = ("n", "top1", "mean_per_class")

    @property
    def n(self) -> int:
        """How many photos were tested on."""
        return int(self["n"])

    @property
    def top1(self) -> float:
        """The share of photos that are right."""
        return float(self["top1"])

    @property
    def mean_per_class(self) -> float:
        """The mean over classes of the share that is right."""
        return float(self["mean_per_class"])

    @property
    def per_class(self) -> dict[str, float]:
        """The share that is right of each class; empty of a backbone's own classifier."""
        return dict(self.get("per_class", {}))


class StreamReport(Report):
    """What a stream has learned so far.

    Examples
    --------
    >>> from edgetransfer import StreamReport
    >>> StreamReport(accepted=20, classes=2, prequential={"top1": 0.9})
    StreamReport(accepted=20, classes=2, top1=0.9)
    """

    shown = ("accepted", "classes", "top1")

    @property
    def accepted(self) -> int:
        """Samples that were accepted since the run began."""
        return int(self["accepted"])

    @property
    def classes(self) -> int:
        """How many classes are known."""
        return int(self["classes"])

    @property
    def top1(self) -> float | None:
        """The share that was right when it came, before it was learned; None before the first."""
        return _number(self["prequential"]["top1"])


class SparsityReport(Report):
    """What a sparsification made.

    Examples
    --------
    >>> from edgetransfer import SparsityReport
    >>> SparsityReport(sparsity=0.7, speed={"ratio": 2.0}, features={})
    SparsityReport(sparsity=0.7, speedup=2.0)
    """

    shown = ("sparsity", "speedup")

    @property
    def sparsity(self) -> float:
        """The share of all weights that are zero."""
        return float(self["sparsity"])

    @property
    def speedup(self) -> float | None:
        """Images a second over those of the dense backbone; None if that was not measured."""
        return _number((self["speed"] or {}).get("ratio"))


class PretrainingReport(Report):
    """What a sparse training made.

    Examples
    --------
    >>> from edgetransfer import PretrainingReport
    >>> PretrainingReport(policy="acdc", sparsity=0.9, top1=0.5, twin=None)
    PretrainingReport(policy='acdc', top1=0.5, sparsity=0.9)
    """

    shown = ("policy", "top1", "sparsity")

    @property
    def policy(self) -> str:
        """How it became sparse."""
        return str(self["policy"])

    @property
    def top1(self) -> float | None:
        """Accuracy on photos that were held out; None where nothing has labels."""
        return _number(self.get("top1"))

    @property
    def sparsity(self) -> float:
        """The share of the backbone's weights that are zero."""
        return float(self["sparsity"])


class BackboneReport(Report):
    """What is known of a backbone: inspected, imported, or cut smaller.

    Examples
    --------
    >>> from edgetransfer import BackboneReport
    >>> BackboneReport(sparsity=0.9, features={"tensor": "x", "dim": 256}, layers=[])
    BackboneReport(sparsity=0.9, dimension=256, out=None)
    """

    shown = ("sparsity", "dimension", "out")

    @property
    def sparsity(self) -> float | None:
        """The share of weights that are zero."""
        return _number(self.get("sparsity", self.get("after", {}).get("sparsity")))

    @property
    def dimension(self) -> int | None:
        """How many numbers a feature row has; None if that was not looked at."""
        found = self.get("features", {}).get("dim")
        return None if found is None else int(found)

    @property
    def out(self) -> Path | None:
        """The file that was written; None if none was."""
        return None if self.get("out") is None else Path(self["out"])


class BenchmarkReport(Report):
    """What a benchmark measured.

    Examples
    --------
    >>> from edgetransfer import BenchmarkReport
    >>> BenchmarkReport(rows=[{"backbone": "dense"}], epochs=20, seeds=1)
    BenchmarkReport(epochs=20, seeds=1, rows=<1 items>)
    """

    shown = ("epochs", "seeds", "rows")

    @property
    def epochs(self) -> int:
        """Timed epochs of one training."""
        return int(self["epochs"])

    @property
    def seeds(self) -> int:
        """How many trainings."""
        return int(self["seeds"])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row for each backbone in each engine on each data set."""
        return list(self["rows"])


class ExportReport(Report):
    """What an export wrote.

    Examples
    --------
    >>> from edgetransfer import ExportReport
    >>> ExportReport(out="pets.onnx", classes=37, zeros=10, files=["pets.onnx"])
    ExportReport(out='pets.onnx', classes=37)
    """

    shown = ("out", "classes")

    @property
    def out(self) -> Path:
        """The file or folder that was written."""
        return Path(self["out"])

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return int(self["classes"])


def _brief(value: Any) -> Any:
    """A value as a line has room for it: a few digits, and of a list how long it is."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return dict(enumerate(value)) if isinstance(value, list) else value


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
