"""Correcting what was learned, while the stream runs: other labels, and samples taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgetransfer.data import checked_label
from edgetransfer.errors import UsageError
from edgetransfer.stream.kept_rows import BEYOND, learned_samples
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.offers import Offer, Receipt
from edgetransfer.stream.learning.records import Record
from edgetransfer.stream.statistics_learner import Learned, StatisticsLearner

if TYPE_CHECKING:
    from edgetransfer.stream.keeping.durable import DurableLearner


class Corrections:
    """Corrects the samples of a durable learner.

    Raises
    ------
    UsageError
        If it learns by steps: what a sample has done to such a head cannot be undone.
    """

    def __init__(self, durable: DurableLearner) -> None:
        if not isinstance(durable.learner, StatisticsLearner):
            raise UsageError(
                f"{durable.run.path}: learned by --learner replay, where no single sample can be "
                "corrected while the stream runs; stop it for `edgetransfer forget`, or begin a "
                "run with --learner statistics"
            )
        self._durable = durable
        self._learner = durable.learner

    def relabel(self, ids: Sequence[str], label: str) -> list[Receipt]:
        """See `DurableLearner.relabel`."""
        label = checked_label(label)
        found = self._found(ids)
        receipts: list[Receipt] = []
        drafts: list[Record] = []
        reason = self._durable.why_no_class(label)
        for sample_id in ids:
            key = id_key(sample_id)
            if key in found and found[key].label == label:
                receipts.append(Receipt(id=sample_id, status="duplicate"))
            elif reason is not None and (key in found or self._pooled(key)):
                receipts.append(Receipt(id=sample_id, status="rejected", reason=reason))
            elif key in found:
                was, rows = found[key].label, found[key].rows
                found[key] = Learned(label=label, rows=rows)
                drafts.append(
                    Record(
                        n=0, group=0, kind="relabel", id=sample_id, label=label, was=was, rows=rows
                    )
                )
                receipts.append(Receipt(id=sample_id, status="relabelled"))
            elif self._pooled(key):
                offer = Offer(id=sample_id, label=label, rows=None)
                receipts += self._durable.accept([offer])
            else:
                receipts.append(self._missing(sample_id))
        if drafts:
            self._durable.write_down(drafts)
        return receipts

    def forget(self, ids: Sequence[str]) -> list[Receipt]:
        """See `DurableLearner.forget`."""
        found = self._found(ids)
        samples: dict[bytes, Learned | None] = {}
        receipts: list[Receipt] = []
        for sample_id in dict.fromkeys(ids):
            key = id_key(sample_id)
            if key in found or self._pooled(key):
                samples[key] = found.get(key)
                receipts.append(Receipt(id=sample_id, status="forgotten"))
            else:
                receipts.append(self._missing(sample_id))
        if samples:
            before = self._learner.state()
            try:
                self._learner.forget(samples)
                gone = frozenset(r.id for r in receipts if r.status == "forgotten")
                self._durable.keep_only_this(gone)
            except BaseException:
                self._learner.restore(before)
                raise
        return receipts

    def _found(self, ids: Sequence[str]) -> dict[bytes, Learned]:
        return learned_samples(self._durable.journal_folder, frozenset(map(id_key, ids)))

    def _pooled(self, key: bytes) -> bool:
        return self._learner.pooled(key) is not None

    def _missing(self, sample_id: str) -> Receipt:
        if not self._durable.known(sample_id):
            return Receipt(id=sample_id, status="unknown")
        reason = f"{BEYOND}; or it was forgotten before"
        return Receipt(id=sample_id, status="rejected", reason=reason)
