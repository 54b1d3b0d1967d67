"""Labels that are made wrong, and what an epoch's record says of masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.data import DataSplits, Sample
from edgetransfer.errors import DataError, UsageError
from edgetransfer.settings.pretrain import Pretraining

torch = pytest.importorskip("torch")
mislabelled = pytest.importorskip("edgetransfer.pretrain.mislabelled").mislabelled


def splits(photos: int, classes: int) -> DataSplits:
    train = tuple(Sample(id=f"{i}", source=b"", label=i % classes) for i in range(photos))
    return DataSplits(classes=tuple(f"{k}" for k in range(classes)), train=train, val=train[:2])


@settings(max_examples=60, deadline=None)
@given(
    photos=st.integers(2, 60),
    classes=st.integers(2, 7),
    share=st.floats(0.001, 0.5),
    seed=st.integers(0, 99),
)
def test_as_many_as_asked_for_and_all_of_them_wrong(
    photos: int, classes: int, share: float, seed: int
) -> None:
    given = splits(photos, classes)
    learned, wrong = mislabelled(given, share, seed)
    assert len(wrong) == max(1, round(share * photos))
    assert learned.val == given.val
    truths = {sample.id: sample.label for sample in given.train}
    assert [sample.id for sample in learned.train] == [sample.id for sample in given.train]
    changed = {s.id: s.label for s in learned.train if s.label != truths[s.id]}
    assert changed == {one.sample.id: one.sample.label for one in wrong}
    assert all(one.truth == truths[one.sample.id] for one in wrong)
    assert all(0 <= label < classes for label in changed.values())
    assert mislabelled(given, share, seed) == (learned, wrong)


def test_each_wrong_class_is_as_likely() -> None:
    _, wrong = mislabelled(splits(6000, 4), 0.5, 0)
    steps = np.bincount([(one.sample.label - one.truth) % 4 for one in wrong], minlength=4)
    assert steps[0] == 0
    assert steps[1:].min() > 900  # of 1,000 on average; the deviation is 26


def test_where_no_label_can_be_wrong() -> None:
    assert mislabelled(splits(4, 1), 0.0, 0) == (splits(4, 1), ())
    with pytest.raises(DataError, match="one class"):
        mislabelled(splits(4, 1), 0.1, 0)
    with pytest.raises(UsageError, match="--random-labels"):
        Pretraining(data="p", out="n.onnx", dense="d.onnx", labels=False, random_labels=0.1)


def test_what_two_masks_have_in_common() -> None:
    """By sets of the places that they keep, over several changes."""
    from edgetransfer.pretrain.accounting import Accounting
    from tests.pretrain.nets import policy

    gmp = policy("gmp")
    accounting, rng = Accounting(gmp.net), np.random.default_rng(0)
    before: set[tuple[str, int]] = set()
    for density in (0.5, 0.3, 0.3, 0.6):
        masks = {
            name: torch.from_numpy(rng.random(tuple(weight.shape)) < density)
            for name, weight in gmp.net.prunable.items()
        }
        kept = {
            (name, int(i)) for name, m in masks.items() for i in m.flatten().nonzero().flatten()
        }
        gmp.training.compress(masks)
        record = accounting.epoch(gmp)
        if before:
            assert record["mask_iou"] == pytest.approx(len(kept & before) / len(kept | before))
            assert record["mask_change"] == pytest.approx(len(kept - before) / len(kept))
        else:
            assert record["mask_iou"] is None
        before = kept
    gmp.training.decompress()
    assert accounting.epoch(gmp)["mask_iou"] is None
