"""Splits are looked through together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.findings import examined, unseen
from tests.findings.pictures import COPIES, jpeg, picture


def part(split, sources, labels, features):
    samples = [
        Sample(id=f"{split}/{i}", source=source, label=int(label))
        for i, (source, label) in enumerate(zip(sources, labels, strict=True))
    ]
    probabilities = np.full((len(samples), 2), 0.1, np.float32)
    probabilities[np.arange(len(samples)), labels] = 0.9
    return unseen(split, samples, features, probabilities)


def two_splits():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 12)).astype(np.float32)
    pictures = [picture(i) for i in range(20)]
    first = part("train", [jpeg(p) for p in pictures], np.arange(20) % 2, features)
    copies = [
        COPIES["mirrored"](pictures[4]),
        COPIES["scaled down"](pictures[7]),
        jpeg(picture(99)),
    ]
    near = features[[4, 7, 9]] + 0.05 * rng.normal(size=(3, 12)).astype(np.float32)
    return first, part("test", copies, np.array([0, 1, 1]), near)


def test_copies_across_splits_are_found():
    found = examined(two_splits(), ("a", "b"))
    assert {tuple(p) for p in found.duplicates.pairs.tolist()} == {(4, 20), (7, 21)}
    assert [found.split_of(20), found.split_of(4)] == ["test", "train"]
    assert found.compared_all
    assert not len(found.wrong)


def test_threads_change_nothing():
    one, several = (examined(two_splits(), ("a", "b"), threads=t) for t in (1, 4))
    assert (one.duplicates.pairs == several.duplicates.pairs).all()
    assert (one.outlier_scores == several.outlier_scores).all()


def test_a_photo_that_is_gone_is_no_error():
    first, second = two_splits()
    gone = replace(second.samples[0], source=b"nothing")
    second = replace(second, samples=(gone, *second.samples[1:]))
    assert examined([first, second], ("a", "b")).duplicates.pairs.tolist() == [[7, 21]]
