"""A learner that survives: journal before acknowledgement, and what is said of a sample later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic, time

from edgetransfer.reports.stream import StandingRecord
from edgetransfer.runs.pending import Staged
from edgetransfer.runs.run_folder import PAGE
from edgetransfer.stream.keeping.admission import Taken
from edgetransfer.stream.keeping.corrections import Corrections, corrected
from edgetransfer.stream.keeping.derived import derived_files, report_of
from edgetransfer.stream.keeping.erasing import Removed, stage_erasure
from edgetransfer.stream.keeping.kept import EARLY, HALF, KeptLearner
from edgetransfer.stream.keeping.recovery import CHECKPOINTS
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.offers import Offer, Receipt
from edgetransfer.stream.learning.records import Kind, Record
from edgetransfer.stream.learning.views import Guess, predict_offers
from edgetransfer.types import Float32Array

MOST = 32 * 2**20  # bytes that wait for a fit

Written = Callable[[Sequence[Receipt]], None]
"""Told of samples that are on disk, in the order in which they were offered, each once."""
Admitted = tuple[Kind, Offer, str | None]
"""What an offer becomes, and the class that it was taken for."""


class DurableLearner(KeptLearner):
    """A learner that survives: what it is told is on disk before that is acknowledged.

    One call after the other, whichever threads they come from. Parameters and errors are those of
    `KeptLearner`.
    """

    def known(self, sample_id: str) -> bool:
        """Whether a sample of this id was accepted, with a label or without."""
        return self.backlog.known(id_key(sample_id))

    @property
    def accepted(self) -> int:
        """Samples that were accepted, learned or not."""
        return self.learner.counts.accepted + self.backlog.accepted

    def open_for_label(self, sample_id: str) -> bool:
        """Whether an unlabelled sample of this id waits for its label."""
        return self.backlog.pooled(id_key(sample_id)) is not None

    def unlabelled_rows(self, sample_id: str) -> Float32Array | None:
        """The rows, (views, D), of an unlabelled sample; None if none of this id waits.

        Whatever was acknowledged before the call counts, if need be after a wait: samples are
        acknowledged once they are on disk, and taken in behind that.
        """
        with self._lock:
            return self.backlog.pooled(id_key(sample_id))

    def accept(self, offers: Sequence[Offer], written: Written | None = None) -> list[Receipt]:
        """Take in samples: predict them, write them down, learn them.

        When this returns they are on disk, and learned where ``written`` is not given.

        Parameters
        ----------
        written
            Told of them as soon as they are on disk, before they are learned. With it no fit is
            waited for: what comes behind one is learned later, but for more than `MOST` bytes.

        Raises
        ------
        JournalFullError
            If the disk is full; those that ``written`` was not told of were not taken in, and may
            be offered again.
        """
        with self._lock:
            receipts = self._accept(offers, written)
            if written is None:
                self.settle()
            return receipts

    def _accept(self, offers: Sequence[Offer], written: Written | None) -> list[Receipt]:
        receipts: list[Receipt] = []
        told = 0

        def tell() -> None:
            nonlocal told
            told, new = len(receipts), receipts[told:]
            if written is not None and new:
                written(new)

        admitted: list[Admitted] = []
        taken: Taken = {}
        unlabelled: list[tuple[str, Guess]] = []
        guesses = predict_offers(self.learner.newest, offers)
        for offer, guess in zip(offers, guesses, strict=True):
            # Its image may be among those before it, or have to leave the pool for one of them.
            late = bool(offer.label is not None and unlabelled)
            if late or offer.correction is not None:
                self._predictions.add(unlabelled)
                self._write(admitted, tell)
                admitted, taken, unlabelled = [], {}, []
            if offer.correction is not None:
                receipts.append(corrected(self, offer))
                continue
            status, kind, reason = self._admission.of(offer, taken)
            if kind is not None:
                taken[id_key(offer.id)] = offer.label
                admitted.append((kind, offer, guess.name))
                if offer.label is None:
                    unlabelled.append((offer.id, guess))
            receipts.append(
                Receipt(
                    id=offer.id,
                    status=status,
                    predicted=guess.name,
                    probability=guess.probability,
                    unknown=guess.unknown,
                    reason=reason,
                )
            )
        self._predictions.add(unlabelled)
        self._write(admitted, tell)
        return receipts

    def flush(self) -> None:
        """Learn what waits for a full batch; for the end of a source.

        Raises
        ------
        JournalFullError
            As `accept`.
        """
        with self._lock:
            self.settle()
            if self.learner.waiting:
                self._flush()
                self.settle()

    def flush_if_waiting(self, seconds: float) -> None:
        """Learn what has waited longer than that for a full batch; no fit is waited for.

        Raises
        ------
        JournalFullError
            As `accept`.
        """
        with self._lock:
            if self.waited > seconds:
                self._flush()

    def _flush(self) -> None:
        self._write([("flush", Offer(id="", label=None, rows=None), None)])

    def catch_up(self) -> bool:
        """Learn some of what waits for nothing any more; whether there is more of that.

        For times when nothing comes: whoever offers samples learns it along.
        """
        with self._lock:
            return self._catch_up()

    def relabel(self, ids: Sequence[str], label: str) -> list[Receipt]:
        """Give samples that were learned another label; see `Corrections`."""
        with self._lock:
            return Corrections(self).relabel(ids, label)

    def forget(self, ids: Sequence[str]) -> list[Receipt]:
        """Take samples away, as if they had never been learned; see `Corrections`."""
        with self._lock:
            return Corrections(self).forget(ids)

    def remove(self, ids: frozenset[str], classes: frozenset[str]) -> int:
        """Take samples and whole classes away; see `Corrections`."""
        with self._lock:
            return Corrections(self).remove(ids, classes)

    def drop_empty_classes(self) -> frozenset[str]:
        """Let go of classes that no sample has any more; returns their names.

        The checkpoints before go, as by `forget`. Should such a class come again it is born anew.

        Raises
        ------
        UsageError
            If the learner is not one on statistics.
        OSError
            If there is no room to do it; then nothing was changed.
        """
        with self._lock:
            return Corrections(self).drop_empty_classes()

    @property
    def waited(self) -> float:
        """Seconds since a labelled sample was taken in that waits for a full batch; 0 for none."""
        waits = self.learner.waiting and not self.backlog
        return monotonic() - self._taken_in if waits else 0.0

    def report(self) -> StandingRecord:
        """How the run stands, as JSON values; what is acknowledged is accepted, learned or not."""
        report = report_of(self.learner)
        report["accepted"] += self.backlog.accepted
        report["labelled"] += self.backlog.labelled
        return report

    def why_no_class(self, label: str) -> str | None:
        """Why no sample can have this label; None if one can."""
        return self._admission.why_no_class(label, {})

    def _write(self, admitted: Sequence[Admitted], then: Callable[[], object] = tuple) -> None:
        """Write samples down, do what is to be done then, and learn them."""
        if not admitted:
            then()
            return
        records = []
        for kind, offer, guess in admitted:
            rows = self.backlog.pooled(id_key(offer.id)) if kind == "label" else offer.rows
            rows, predicted = self.learner.recorded(
                kind, rows, None if offer.label is None else guess
            )
            records.append(
                Record(
                    n=0,
                    group=0,
                    kind=kind,
                    id=offer.id,
                    label=offer.label,
                    rows=rows,
                    predicted=predicted,
                )
            )
        self.write_down(records, then)

    def write_down(self, drafts: Sequence[Record], then: Callable[[], object] = tuple) -> None:
        """Write one group of records, do what is to be done then, and learn them.

        Their places and times are given here. Those behind a fit that is not through wait.

        Raises
        ------
        JournalFullError
            As `accept`.
        """
        now = time()
        records = [
            replace(
                draft,
                n=self._journal.position + i,
                group=self._journal.group,
                left=len(drafts) - 1 - i,
                time=now,
            )
            for i, draft in enumerate(drafts)
        ]
        self._uncovered += self._journal.append(records)
        try:
            then()
        finally:  # what was written is learned, whatever becomes of the answers
            self._take_in(records)
            self._taken_in = monotonic()
        self._keep_within_bounds()
        self.save_if_due()

    def _keep_within_bounds(self) -> None:
        """Wait for fits where memory or disk would take too much."""
        most = min(MOST, (HALF - EARLY) * self._keeping.journal_bytes)
        while self.backlog.bytes > most:
            self._learn_first()
        if self._much(HALF):
            self._save(soon=True)

    def keep_only_this(self, removed: Removed, forgotten: Sequence[str] | None = None) -> None:
        """Make the learner, as it is now, all that there is of the run: see `forget`.

        ``forgotten`` are the `forgotten_classes` from now on; as they were if None. An `OSError`
        leaves the run on disk as it was.
        """
        self._derived.wait()  # it may hold what is to go
        self._revision += 1
        if forgotten is not None:
            self._forgotten = list(forgotten)
        checkpoint = self.standing()
        with Staged(self.run.path) as staged:
            staged.write(f"{CHECKPOINTS}/{checkpoint.name}", *checkpoint.encoded())
            for name, content in derived_files(self.learner, self._head_metadata).items():
                staged.write(name, content)
            gone = stage_erasure(staged, self.run.path, removed)
            self._journal.close()  # its file is about to be another one
            older = [f"{CHECKPOINTS}/{path.name}" for path in self.checkpoints.names()]
            staged.commit("forget", remove=[*older, *gone, PAGE], aside=None)
        self._journal.reopened()
        self._saved_position = self._derived.position = self.position
        self._uncovered = 0
