"""From a plan of one operator a node to a plan of few and larger ones.

Scales are folded into the weights before them, residual additions and activations into the
epilogue of the operator before them, zeros around an image into the windows that read them. What
is read is counted by tensor, never by a name of the graph: an operator changes only while what it
writes has one reader, whatever names the graph gives to it. It then writes its reader's tensor, and
the old one is gone: a reader that was overlooked leaves a plan that cannot be numbered, never one
that computes something else.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

import numpy as np

from edgetransfer.engines.sparse.plan import (
    EPILOGUES,
    FARTHEST,
    Activation,
    Kind,
    Operator,
    Plan,
    Weights,
)


def fuse(plan: Plan) -> None:
    """Make a plan's operators fewer in place; what it computes stays the same."""
    _Fusion(plan).run()


class _Fusion:
    """A plan while it shrinks.

    `kept` are the operators so far; `writers` the place of the last of them that writes a tensor;
    `readers` how often each tensor is read, by the user as well.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.pending = deque(plan.operators)
        plan.operators = []  # so that weights which fold away are let go of at once
        self.kept: list[Operator] = []
        self.writers: dict[int, int] = {}
        self.readers: Counter[int] = Counter((plan.output,))
        for operator in self.pending:
            self.readers.update(operator.reads)

    def run(self) -> None:
        while self.pending:
            operator = self._with_padding(self.pending.popleft())
            if not (self._scales(operator) or self._adds(operator) or self._activates(operator)):
                self.writers[operator.out] = len(self.kept)
                self.kept.append(operator)
        self.plan.operators = self._needed()
        _renumber(self.plan)

    def _open_writer(self, tensor: int, reader: Operator) -> Operator | None:
        """The operator that writes a tensor, if `reader` alone sees what it writes."""
        place = self.writers.get(tensor)
        if place is None or self.readers[tensor] != 1:
            return None
        writer = self.kept[place]
        if writer.activation is not Activation.NONE:
            return None
        assert self.plan.shapes[tensor] == self.plan.shapes[reader.out]
        return writer

    def _replace(self, writer: Operator, changed: Operator) -> bool:
        """Put an operator that writes another tensor in the place of one."""
        self.writers[changed.out] = self.writers.pop(writer.out)
        self.kept[self.writers[changed.out]] = changed
        return True

    def _with_padding(self, operator: Operator) -> Operator:
        """The operator, reading past the zeros that a copy put around its source."""
        while (frame := self._frame(operator)) is not None:
            _, top, left = frame.offset
            if operator.kind is Kind.COPY:
                channel, row, column = operator.offset
                operator = replace(
                    operator, source=frame.source, offset=(channel, row + top, column + left)
                )
            else:
                above, before = operator.window.padding
                window = replace(operator.window, padding=(above + top, before + left))
                operator = replace(operator, source=frame.source, window=window)
            self.readers[frame.out] -= 1
            self.readers[frame.source] += 1
        return operator

    def _frame(self, operator: Operator) -> Operator | None:
        """The copy that puts an operator's source into a frame which it can make itself."""
        place = self.writers.get(operator.source)
        if place is None or not (operator.is_convolution or self._is_frame(operator)):
            return None
        writer = self.kept[place]
        if not self._is_frame(writer):
            return None
        if operator.kind is Kind.COPY:
            return writer if writer.fill == operator.fill else None
        # What a convolution finds outside of its image is zero.
        return writer if writer.fill == 0 and self._reaches(operator, writer) else None

    def _reaches(self, operator: Operator, frame: Operator) -> bool:
        """Whether a convolution's windows may begin in a frame's last row and column."""
        source, out = self.plan.shapes[frame.source], self.plan.shapes[operator.out]
        window = operator.window
        return all(
            (out[i + 1] - 1) * window.stride[i] - window.padding[i] - frame.offset[i + 1]
            < source[i + 1] + FARTHEST
            for i in range(2)
        )

    def _is_frame(self, operator: Operator) -> bool:
        """Whether it copies all channels of its source, and no other copy writes beside it."""
        same = self.plan.shapes[operator.source][0] == self.plan.shapes[operator.out][0]
        return operator.kind is Kind.COPY and same and not operator.counts_padding

    def _scales(self, operator: Operator) -> bool:
        """Fold a number for each channel into the convolution before it."""
        same = self.plan.shapes[operator.source] == self.plan.shapes[operator.out]
        if not (operator.is_scale and same):
            return False
        writer = self._open_writer(operator.source, operator)
        folds = writer is not None and (writer.is_convolution or writer.kind is Kind.NORMALISE)
        if writer is None or not folds or writer.second >= 0:
            return False
        (weights, bias), (scales, shifts) = _arrays(writer), _arrays(operator)
        scale = scales.reshape(-1).astype(np.float64)
        changed = replace(
            writer,
            weights=(weights * scale.reshape(-1, *[1] * (weights.ndim - 1))).astype(weights.dtype),
            bias=(bias * scale + shifts).astype(bias.dtype),
            out=operator.out,
        )
        return self._replace(writer, changed)

    def _adds(self, operator: Operator) -> bool:
        """Have the later of two convolutions add the other's result on its way out."""
        if operator.kind is not Kind.ADD or operator.second < 0:
            return False
        pair = (operator.source, operator.second)
        index = int(self.writers.get(pair[1], -1) > self.writers.get(pair[0], -1))
        writer = self._open_writer(pair[index], operator)
        if writer is None or not writer.is_convolution or writer.second >= 0:
            return False
        return self._replace(writer, replace(writer, second=pair[1 - index], out=operator.out))

    def _activates(self, operator: Operator) -> bool:
        """Have the operator before it do an activation."""
        if operator.kind is not Kind.ADD or operator.second >= 0:
            return False
        writer = self._open_writer(operator.source, operator)
        if writer is None or not EPILOGUES[writer.kind].activation:
            return False
        changed = replace(
            writer, activation=operator.activation, low=operator.low, high=operator.high,
            out=operator.out,
        )  # fmt: skip
        return self._replace(writer, changed)

    def _needed(self) -> list[Operator]:
        """The operators without those whose output nothing reads any more."""
        needed, kept = {self.plan.output}, []
        for operator in reversed(self.kept):
            if operator.out in needed:
                needed.update(operator.reads)
                kept.append(operator)
        return kept[::-1]


def _arrays(operator: Operator) -> tuple[Weights, Weights]:
    """Weights and bias of a convolution."""
    assert operator.weights is not None
    assert operator.bias is not None
    return operator.weights, operator.bias


def _renumber(plan: Plan) -> None:
    """Leave out tensors that no operator writes; the others in the order of their writers."""
    order = list(dict.fromkeys((plan.input, *(o.out for o in plan.operators))))
    number = {tensor: i for i, tensor in enumerate(order)} | {-1: -1}
    plan.shapes = [plan.shapes[tensor] for tensor in order]
    plan.operators = [
        replace(o, source=number[o.source], second=number[o.second], out=number[o.out])
        for o in plan.operators
    ]
    plan.input, plan.output = number[plan.input], number[plan.output]
