"""Correcting what was learned, while the stream runs: other labels, and samples taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgetransfer.data import checked_label
from edgetransfer.errors import UsageError
from edgetransfer.stream.keeping.erasing import Removed
from edgetransfer.stream.keeping.journal import FULL, JournalFullError
from edgetransfer.stream.keeping.kept_rows import BEYOND, learned_samples
from edgetransfer.stream.keeping.removing import named_classes, removable
from edgetransfer.stream.learning.choosing_learner import ChoosingLearner
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.offers import Offer, Receipt
from edgetransfer.stream.learning.records import Learned, Record
from edgetransfer.stream.learning.statistics_learner import StatisticsLearner

if TYPE_CHECKING:
    from edgetransfer.stream.keeping.durable import DurableLearner


def corrected(durable: DurableLearner, offer: Offer) -> Receipt:
    """Make the correction that an offer is; what cannot be done is answered.

    Raises
    ------
    JournalFullError
        If the disk is full.
    """
    try:
        corrections = Corrections(durable)
        if offer.correction == "forget class":
            removed = corrections.remove(frozenset(), frozenset([offer.id]))
            return Receipt(id=offer.id, status="forgotten", removed=removed)
        if offer.correction == "forget":
            return corrections.forget([offer.id])[0]
        return corrections.relabel([offer.id], offer.label or "")[0]
    except UsageError as error:
        return Receipt(id=offer.id, status="rejected", reason=str(error))
    except OSError as error:
        if error.errno in FULL:
            raise JournalFullError.of(error) from error
        raise


class Corrections:
    """Corrects the samples of a durable learner.

    Raises
    ------
    UsageError
        If it learns by steps: what a sample has done to such a head cannot be undone.
    """

    def __init__(self, durable: DurableLearner) -> None:
        if not isinstance(durable.learner, StatisticsLearner | ChoosingLearner):
            raise UsageError(
                f"{durable.run.path}: learned by --learner replay, where no single sample can be "
                "corrected while the stream runs; stop it for `edgetransfer forget`, or begin a "
                "run with --learner statistics"
            )
        durable.settle()
        self._durable = durable
        self._learner = durable.learner

    def relabel(self, ids: Sequence[str], label: str) -> list[Receipt]:
        """Give samples that were learned another label; as if they had had it from the start.

        When this returns it is on disk. Statuses are ``relabelled``, ``labelled`` (it had none),
        ``duplicate`` (it has this one), ``unknown`` and ``rejected``.

        Raises
        ------
        JournalFullError
            If the disk is full; none was changed.
        """
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
            self._durable.settle()
        return receipts

    def forget(self, ids: Sequence[str]) -> list[Receipt]:
        """Take samples away, as if they had never been learned; nothing of them stays on disk.

        Statuses are ``forgotten``, ``unknown`` and ``rejected``. The checkpoints before go, so
        there is no going back behind this. An id stays known, and is not learned again.

        Raises
        ------
        OSError
            If there is no room to do it; then nothing was changed.
        """
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
            gone = frozenset(r.id for r in receipts if r.status == "forgotten")
            self._take_away(samples, frozenset(), gone)
        return receipts

    def remove(self, ids: frozenset[str], classes: frozenset[str]) -> int:
        """Take samples and whole classes away, as `forget` does; returns how many samples.

        What was forgotten before, or never came, is none of them. A class goes from the head; it
        is born anew should it come again.

        Raises
        ------
        UsageError
            If a class was never learned, or the features of a sample are not kept any more.
        OSError
            If there is no room to do it; then nothing was changed.
        """
        run, learner = self._durable.run.path, self._learner
        classes, forgotten = named_classes(
            run, classes, learner.classes, self._durable.forgotten_classes
        )
        samples = removable(run, self._durable.ids.__contains__, learner, ids=ids, classes=classes)
        if samples or classes & set(learner.classes):
            self._take_away(samples, classes, ids, forgotten)
        return len(samples)

    def drop_empty_classes(self) -> frozenset[str]:
        """See `DurableLearner.drop_empty_classes`."""
        empty = frozenset(name for name, n in self._learner.class_counts.items() if not n)
        if empty:
            _, forgotten = named_classes(
                self._durable.run.path,
                empty,
                self._learner.classes,
                self._durable.forgotten_classes,
            )
            self._take_away({}, empty, frozenset(), forgotten)
        return empty

    def _take_away(
        self,
        samples: dict[bytes, Learned | None],
        classes: frozenset[str],
        ids: frozenset[str],
        forgotten: Sequence[str] | None = None,
    ) -> None:
        before = self._learner.state()
        try:
            self._learner.forget(samples, classes)
            self._durable.keep_only_this(
                Removed(keys=frozenset(samples), ids=ids, classes=classes), forgotten
            )
        except BaseException:
            self._learner.restore(before)
            raise

    def _found(self, ids: Sequence[str]) -> dict[bytes, Learned]:
        return learned_samples(self._durable.journal_folder, frozenset(map(id_key, ids)))

    def _pooled(self, key: bytes) -> bool:
        return self._learner.pool.get(key) is not None

    def _missing(self, sample_id: str) -> Receipt:
        if not self._durable.known(sample_id):
            return Receipt(id=sample_id, status="unknown")
        reason = f"{BEYOND}; or it was forgotten before"
        return Receipt(id=sample_id, status="rejected", reason=reason)
