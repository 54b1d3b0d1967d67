"""Profiles have the published sparsity and the published multiply-adds."""

from __future__ import annotations

import math

import pytest

from edgetransfer.backbones.architectures import architecture, synthetic
from edgetransfer.backbones.architectures.profiles import (
    PUBLISHED,
    profile_sparsities,
    published,
)
from edgetransfer.errors import UsageError
from edgetransfer.graphs.freeze import freeze
from edgetransfer.graphs.sparsity import measure_sparsity

ALL = [(name, profile, s) for (name, profile), found in PUBLISHED.items() for s in found]


@pytest.mark.parametrize(("name", "profile", "sparsity"), ALL)
def test_work_and_sparsity_are_the_published_ones(name: str, profile: str, sparsity: float) -> None:
    wanted = published(name, profile, sparsity)
    shares = profile_sparsities(name, profile, sparsity)
    table = architecture(name)
    side = {"input": 224}
    for layer in table.layers:
        side[layer.name] = -(-side[layer.source] // layer.stride)
    work = weights = left = dense = 0.0
    for layer in table.convolutions:
        count = math.prod(layer.shape)
        density = 1 - shares[f"{layer.name}.weight"]
        assert 0 < density <= 1
        dense += count * side[layer.name] ** 2
        work += count * side[layer.name] ** 2 * density
        weights += count
        left += count * density
    assert work / dense == pytest.approx(wanted.work, abs=0.01)
    # The fully connected layer has its share of the zeros.
    last = table.dimension * 1000
    least, most = left / (weights + last), (left + last) / (weights + last)
    assert least - 1e-6 <= 1 - wanted.sparsity <= most + 1e-6


def test_work_differs_where_sparsity_does_not() -> None:
    def early(profile: str) -> float:
        return 1 - profile_sparsities("resnet50", profile, 0.9)["layer1.0.conv1.weight"]

    assert early("str") < 0.1 < early("woodfisher") < early("acdc") < early("rigl")


def test_a_graph_of_a_profile() -> None:
    model = synthetic("mobilenet_v1", sparsity=0.9, distribution="acdc", size=64)
    report = measure_sparsity(freeze(model, batch_size=1, size=64))
    shares = profile_sparsities("mobilenet_v1", "acdc", 0.9)
    assert len(report.layers) == len(shares)
    for layer in report.layers:
        assert layer.sparsity == pytest.approx(shares[layer.name], abs=1 / layer.weights)


@pytest.mark.parametrize(
    ("name", "profile", "sparsity", "said"),
    [
        ("resnet50", "acdc", 0.85, "there are 0.8, 0.9, 0.95, 0.98"),
        ("resnet50", "rigl", 0.98, "there are 0.8, 0.9, 0.95"),
        ("resnet18", "str", 0.9, "figures of resnet50 alone"),
        ("mobilenet_v1", "woodfisher", 0.9, "figures of resnet50 alone"),
    ],
)
def test_what_was_not_published_is_refused(
    name: str, profile: str, sparsity: float, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        synthetic(name, sparsity=sparsity, distribution=profile)  # type: ignore[arg-type]
