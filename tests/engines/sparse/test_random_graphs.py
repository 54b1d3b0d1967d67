"""Random graphs, agreement with ONNX Runtime and the same bits whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest

from edgetransfer.engines.sparse import fusing
from edgetransfer.engines.sparse.lowering import lower
from edgetransfer.engines.sparse.opening import open_sparse
from edgetransfer.engines.sparse.operators import LOWERED
from edgetransfer.engines.sparse.plan import Operator
from edgetransfer.native.compiling import why_absent
from tests.engines.fuzzing.comparing import compared
from tests.engines.fuzzing.graphs import random_graph
from tests.engines.fuzzing.steps import STEPS
from tests.engines.sparse.plans import INSTRUCTION_SETS, forced
from tests.engines.sparse.test_lowering import graph
from tests.graphs_made import Net, noise

pytestmark = [
    pytest.mark.skipif(why_absent() is not None, reason=str(why_absent())),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


# Operators of opsets that the graphs here are not of.
YOUNGER = {"Swish", "RMSNormalization", "Upsample"}


def faults(seeds: range, *, threads: int = 1) -> list[int]:
    """The seeds of graphs on which the engine and ONNX Runtime, or two batches, disagree."""
    return [s for s in seeds if compared(random_graph(s), seed=s, threads=threads).faulty]


def test_every_operator_that_is_lowered_grows_in_random_graphs() -> None:
    assert set(STEPS) == set(LOWERED) - YOUNGER


@pytest.mark.parametrize("first", range(0, 80, 20))
def test_random_graphs(first: int) -> None:
    assert faults(range(first, first + 20)) == []


@pytest.mark.slow
@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
@pytest.mark.parametrize("first", range(1_000_000, 1_001_000, 100))
def test_many_random_graphs(first: int, isa: str) -> None:
    """`python -m tests.engines.fuzzing` runs any number of them."""
    with forced(isa):
        assert faults(range(first, first + 100), threads=1 + first // 100 % 3) == []


@pytest.mark.parametrize("operator", STEPS)
def test_every_operator_gives_the_same_bits_in_batches_of_1_to_33(operator: str) -> None:
    for seed in range(2):
        model = random_graph(seed, always=operator, batch=33)
        assert operator in {node.op_type for node in model.graph.node}
        images = noise(*(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim))
        engine = open_sparse(model, threads=1, reason="test")
        features = engine.run(images)
        for n in range(1, 33):
            # Not the first, so that other lanes and tiles hold them than in the whole batch.
            given = images[33 - n :]
            np.testing.assert_array_equal(engine.run(given), features[33 - n :], err_msg=f"{n}")
        engine.close()


def test_a_dropped_activation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOWERED, "Relu", LOWERED["Identity"])
    assert faults(range(20))


def test_a_fusion_that_overlooks_a_reader_gives_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was fused writes another tensor: who still reads the old one finds nothing there."""
    honest = fusing._Fusion._open_writer

    def careless(self: fusing._Fusion, tensor: int, reader: Operator) -> Operator | None:
        self.readers[tensor] = 1
        return honest(self, tensor, reader)

    def shared(net: Net, x: str) -> str:
        x = net.conv(x, (8, 8))
        return net.add("Add", net.add("Relu", net.add("Identity", x)), x)

    model = graph(shared)
    assert len(lower(model).operators) == 3
    monkeypatch.setattr(fusing._Fusion, "_open_writer", careless)
    with pytest.raises(KeyError):
        lower(model)
