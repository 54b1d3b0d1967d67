"""Which layers to train in lanes, from what each costs and what it costs to lay maps anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx

from edgetransfer.finetune.lane_steps import ALONE, TOGETHER

FOLLOWING = ALONE | {"BatchNormalization", "GlobalAveragePool"}


@dataclass(frozen=True, kw_only=True)
class LaneCosts:
    """What a step costs for every choice of layers, in seconds, as far as it depends on that.

    Parameters
    ----------
    nodes
        Of the graph.
    outputs
        Of the graph, which must not come in lanes.
    layers
        Seconds in torch and in lanes, forward and backward, by the tensor that a layer makes.
    numbers
        How many numbers each tensor has that depends on the images.
    a_number
        Seconds to lay one number anew, and its gradient back.
    """

    nodes: Sequence[onnx.NodeProto]
    outputs: Sequence[str]
    layers: Mapping[str, tuple[float, float]]
    numbers: Mapping[str, int]
    a_number: float

    def of(self, chosen: frozenset[str]) -> float:
        """Seconds where these layers run in lanes."""
        laned: set[str] = set()
        seconds = 0.0
        for node in self.nodes:
            inputs = [name for name in node.input if name in self.numbers]
            made = node.output[0]
            if made in chosen:
                seconds += self.layers[made][1] + self._moved(n for n in inputs if n not in laned)
                laned.add(made)
                continue
            seconds += self.layers.get(made, (0.0, 0.0))[0]
            follows = node.op_type in FOLLOWING and inputs[:1] and inputs[0] in laned
            if follows or (node.op_type in TOGETHER and inputs and laned.issuperset(inputs)):
                laned.add(made)
            else:
                seconds += self._moved(n for n in inputs if n in laned)
        return seconds + self._moved(n for n in self.outputs if n in laned)

    def _moved(self, names: Iterable[str]) -> float:
        return self.a_number * sum(self.numbers.get(name, 0) for name in names)

    def best(self) -> frozenset[str]:
        """The choice that no layer more or less makes cheaper, from three beginnings on."""
        alone = frozenset(name for name, (torch, lanes) in self.layers.items() if lanes < torch)
        starts = (frozenset(self.layers), alone, frozenset[str]())
        return min((self._descended(start) for start in starts), key=self.of)

    def _descended(self, chosen: frozenset[str]) -> frozenset[str]:
        least, moving = self.of(chosen), True
        while moving:
            moving = False
            for name in self.layers:
                other = chosen ^ {name}
                seconds = self.of(other)
                if seconds < least:
                    chosen, least, moving = other, seconds, True
        return chosen
