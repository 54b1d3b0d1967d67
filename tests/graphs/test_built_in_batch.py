"""A batch that is built into a graph is opened, where pictures stay apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from tests.graphs.forms import check, head, saved, transformer, unoptimised
from tests.graphs_made import Net, noise, relative_difference, run

# A batch of one, built in.


@pytest.mark.parametrize("tokens_first", [True, False])
@pytest.mark.parametrize("batch", [1, "N"])
def test_a_transformer_made_for_one_picture_takes_many(
    batch: int | str, tokens_first: bool, tmp_path: Path
) -> None:
    model = transformer(batch, tokens_first=tokens_first)
    backbone = check(model, tmp_path)
    for count in (2, 3, 7):
        images = noise(count, 3, 16, 16, seed=count)
        expected = unoptimised(model, backbone.cut.tensor, images)
        assert relative_difference(run(backbone.frozen(count), images), expected) <= 1e-5


def test_a_graph_that_would_mix_pictures_is_refused(tmp_path: Path) -> None:
    """The batch axis of one is used as something else: a maximum over it."""
    net = Net(opset=17)
    x = net.conv("x", (3, 4))
    x = net.add("Transpose", x, perm=[2, 0, 3, 1])
    x = net.add("Reshape", x, net.constant([16, 1, 64], np.int64))
    best = net.add("ReduceMax", x, axes=[1], keepdims=1)
    x = net.add("Sub", x, net.add("Mul", best, net.constant(0.5)))
    x = net.add(
        "Transpose",
        net.add("Reshape", x, net.constant([16, 1, 16, 4], np.int64)),
        perm=[1, 3, 0, 2],
    )
    backbone = Backbone.open(saved(head(net, x, 4), tmp_path))
    backbone.frozen(1)
    with pytest.raises(BackboneError, match="mixes them"):
        backbone.frozen(2)
