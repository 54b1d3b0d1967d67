"""What a backbone's zeros gain on this machine: predicted, measured, and what is in the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx

from edgetransfer.backbones import LayerSparsity, SparsityReport
from edgetransfer.engines import Engine, LayerTime, engine_kind, open_engine
from edgetransfer.errors import EngineError
from edgetransfer.graphs.dense_twin import dense_twin
from edgetransfer.graphs.sparsity import WEIGHT_INPUTS
from edgetransfer.reports.backbones import SlowestRecord, SpeedRecord

# Of an engine that gains: a layer's time over its dense time, at a share d of weights left, is
# FLOOR + SLOPE * d, at most one; a multiply-add of a depthwise layer takes as long as DEPTHWISE
# of others, because memory holds it up. Fitted to DeepSparse 1.8 on two cores of an AVX-512
# server: ResNet50 at 80, 90, 95 % (3.3, 4.6, 5.5 times dense), MobileNetV1 at 50, 75, 90 % (1.4,
# 2.1, 3.0 times); the fit is within 13 % of each.
FLOOR, SLOPE, DEPTHWISE = 0.08, 1.1, 6.0
SLOWEST = 5
COMPARED_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Images a second of the sparse backbone and of its dense twin."""

    sparse: float
    dense: float

    @property
    def speedup(self) -> float:
        """How many times as fast as dense it is."""
        return self.sparse / self.dense


def predicted_speedup(report: SparsityReport, engine: str) -> float:
    """How many times as fast as dense a backbone should be, from its multiply-adds alone."""
    if not engine_kind(engine).gains:
        return 1.0
    dense = sum(_dense_cost(layer) for layer in report.layers)
    sparse = sum(
        _dense_cost(layer) * min(1.0, FLOOR + SLOPE * (1 - layer.sparsity))
        for layer in report.layers
    )
    return dense / sparse if sparse else 1.0


def _dense_cost(layer: LayerSparsity) -> float:
    depthwise = len(layer.shape) == 4 and layer.shape[1] == 1 and layer.filters > 1
    return layer.dense_macs * (DEPTHWISE if depthwise else 1.0)


def compare(sparse: Engine, dense: Engine) -> Comparison:
    """Run both in turn on random batches; medians, after one batch each to warm up."""
    images = np.random.default_rng(0).standard_normal(sparse.input_shape, np.float32)
    times: tuple[list[float], list[float]] = ([], [])
    for engine in (sparse, dense):
        engine.run(images)
    while sum(map(sum, times)) < COMPARED_SECONDS or len(times[0]) < 3:
        for engine, taken in zip((sparse, dense), times, strict=True):
            start = perf_counter()
            engine.run(images)
            taken.append(perf_counter() - start)
    per_second = [sparse.batch_size / float(np.median(taken)) for taken in times]
    return Comparison(sparse=per_second[0], dense=per_second[1])


def speed_report(
    frozen: onnx.ModelProto,
    report: SparsityReport,
    engine: Engine,
    *,
    threads: int | None,
    cache: Path | None,
) -> SpeedRecord:
    """The verdict for this machine; the keys are those of the JSON.

    Parameters
    ----------
    frozen
        What runs in ``engine``.
    """
    name = engine.choice.name
    predicted = predicted_speedup(report, name)
    found: SpeedRecord = {
        "predicted_speedup": predicted,
        "speedup": None,
        "images_per_second": None,
        "slowest": [],
        "reason": None,
        "verdict": "",
    }
    if not report.sparsity:
        return {**found, "verdict": "it is dense: there are no zeros to gain from"}
    try:
        twin = open_engine(dense_twin(frozen), engine=name, threads=threads, cache=cache)
    except EngineError as error:
        return {**found, "reason": str(error), "verdict": f"not compared with dense: {error}"}
    compared = compare(engine, twin)
    twin.close()
    found["speedup"] = compared.speedup
    found["images_per_second"] = {"sparse": compared.sparse, "dense": compared.dense}
    try:
        found["slowest"] = slowest_layers(frozen, report, engine, threads)
    except EngineError as error:
        found["reason"] = str(error)
    return {**found, "verdict": _verdict(name, compared.speedup, predicted, found["slowest"])}


def slowest_layers(
    frozen: onnx.ModelProto, report: SparsityReport, engine: Engine, threads: int | None
) -> list[SlowestRecord]:
    """The steps of the run that take the longest, with the sparsity of their layers.

    Nothing for engines that do not time their steps.
    """
    layers = _layers_by_output(frozen, report)
    steps = sorted(_steps(frozen, engine, threads), key=lambda step: -step.share)
    found: list[SlowestRecord] = []
    for step in steps[:SLOWEST]:
        inside = [layers[name] for name in step.tensors if name in layers]
        work = sum(layer.dense_macs for layer in inside)
        zeros = sum(layer.dense_macs * layer.sparsity for layer in inside)
        found.append(
            {
                "layers": [layer.name for layer in inside] or list(step.tensors),
                "share": step.share,
                "work_share": work / report.dense_macs if report.dense_macs else 0.0,
                "sparsity": zeros / work if work else None,
            }
        )
    return found


def _steps(frozen: onnx.ModelProto, engine: Engine, threads: int | None) -> tuple[LayerTime, ...]:
    time_layers = engine_kind(engine.choice.name).layer_times
    return () if time_layers is None else time_layers(frozen, engine, threads=threads)


def _layers_by_output(model: onnx.ModelProto, report: SparsityReport) -> dict[str, LayerSparsity]:
    """The layers of a report by the tensors that they make."""
    layers = {layer.name: layer for layer in report.layers}
    return {
        node.output[0]: layers[node.input[WEIGHT_INPUTS[node.op_type][0]]]
        for node in model.graph.node
        if node.op_type in WEIGHT_INPUTS and node.input[WEIGHT_INPUTS[node.op_type][0]] in layers
    }


def _verdict(name: str, speedup: float, predicted: float, slowest: list[SlowestRecord]) -> str:
    text = f"{speedup:.2f} times as fast as dense here"
    if not engine_kind(name).gains:
        return f"{text}: {name} gains nothing from zeros"
    text += f" ({predicted:.2f} predicted from its multiply-adds)"
    held = [step for step in slowest if step["sparsity"] is not None and step["sparsity"] < 0.5]
    if held:
        names = ", ".join(step["layers"][0] for step in held[:3])
        share = sum(step["share"] for step in held)
        text += f"; held back by dense layers ({share:.0%} of its time): {names}"
    return text
