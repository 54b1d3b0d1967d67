"""Batch-norm tuned after pruning, where it is a node of its own and where it is folded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.finetune.batchnorm import bare_convolutions
from edgetransfer.graphs.pruning import prune_by_magnitude
from edgetransfer.sparsify.photos import find_photos, load_views
from edgetransfer.sparsify.tuning import tune

torch = pytest.importorskip("torch")
output_moments = pytest.importorskip("edgetransfer.finetune.moments").output_moments


def zeros(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    return {name: a == 0 for name, a in arrays.items() if a.ndim == 4}


def test_each_channel_has_the_moments_that_it_had_before_pruning(
    dense: Path, textures: Path
) -> None:
    backbone = Backbone.open(dense)
    views = load_views(find_photos(textures, 0), backbone.preprocessing, views=2, seed=0, workers=1)
    before = backbone.frozen(2)
    pruned = prune_by_magnitude(before, 0.8, "global")
    where = zeros(pruned)
    bare = {
        name: out
        for name, out in bare_convolutions(before).items()
        if any(
            n.op_type == "Conv" and n.input[1] == name and len(n.input) > 2
            for n in before.graph.node
        )
    }
    assert bare
    images = torch.from_numpy(views.normalised(0, views.fitted))
    wanted = output_moments(before, bare, [images])
    untuned = output_moments(pruned, bare, [images])
    record = tune(before, pruned, views)
    assert record == {"views": views.fitted, "restored": len(bare)}
    found = output_moments(pruned, bare, [images])
    for name, (mean, var) in wanted.items():
        alive = found[name][1] > 1e-8
        assert np.abs(found[name][0] - mean).max() < 0.05 * np.sqrt(var.max()), name
        assert np.allclose(found[name][1][alive], var[alive], rtol=0.1), name
    assert any(not np.allclose(untuned[n][1], wanted[n][1], rtol=0.3) for n in wanted)
    for name, mask in zeros(pruned).items():
        assert (mask >= where[name]).all(), "a zero stays a zero"
