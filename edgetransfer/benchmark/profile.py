"""An engine alone in a process of its own: by threads and layer by layer, and the machine.

    python -m edgetransfer.benchmark.profile < REQUEST

Request and answer are those of `edgetransfer.benchmark.turn`.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import prod
from time import perf_counter
from typing import Any

import numpy as np
import onnx

from edgetransfer.backbones import Backbone, LayerSparsity
from edgetransfer.benchmark.floor import engine_rate
from edgetransfer.benchmark.int8 import open_int8
from edgetransfer.benchmark.turn import TurnRequest, main
from edgetransfer.benchmark.usage import Usage
from edgetransfer.engines import Engine, available_cores, engine_kind, open_engine
from edgetransfer.errors import EngineError
from edgetransfer.features import default_cache_folder
from edgetransfer.graphs.graph import dims_of
from edgetransfer.graphs.sparsity import WEIGHT_INPUTS
from edgetransfer.train.opening import load_splits, open_backbone
from edgetransfer.types import Progress

COMMAND = (sys.executable, "-m", "edgetransfer.benchmark.profile")

ROUNDS, SECONDS = 3, 0.25  # of each number of threads
RUNS = 5  # of the layers
FLOAT = 4  # bytes
COPIED = 32 << 20  # bytes of each thread, beyond the caches
SPIN_ROUNDS = 1_000_000


def take_profile(request: TurnRequest, progress: Progress) -> dict[str, Any]:
    """Images a second by threads; each layer's time, work and traffic; the machine's peaks."""
    training = request.training
    backbone = open_backbone(training)
    most = training.threads or available_cores()
    counts = sorted({most, *(2**i for i in range(most.bit_length()) if 2**i < most)})
    usage, start = Usage(training.threads), perf_counter()
    engines = {}
    for done, threads in enumerate(counts):
        progress("opening", done, len(counts))
        engines[threads] = _opened(request, backbone, threads)
    rates: dict[int, list[float]] = {threads: [] for threads in counts}
    for done in range(ROUNDS):
        for threads, engine in engines.items():
            rates[threads].append(engine_rate([engine], batches=10**6, seconds=SECONDS))
        progress("by threads", done + 1, ROUNDS)
    whole = engines[most]
    found = {
        "engine": whole.choice.name,
        "batch_size": whole.batch_size,
        "threads": [
            {"threads": threads, "images_per_second": statistics.median(measured)}
            for threads, measured in rates.items()
        ],
        "layers": _layers(request, backbone, whole, max(rates[most])),
        "peaks": machine_peaks(most),
    }
    found["other_load"] = usage.since(perf_counter() - start)["other_load"]
    for engine in engines.values():
        engine.close()
    return found


def _opened(request: TurnRequest, backbone: Backbone, threads: int) -> Engine:
    training = replace(request.training, threads=threads)
    if request.int8 is not None:
        return open_int8(backbone, training, load_splits(training).train, request.int8)
    return open_engine(
        backbone.frozen(training.batch_size),
        engine=training.engine,
        threads=threads,
        cache=training.cache_dir or default_cache_folder(),
    )


def _layers(
    request: TurnRequest, backbone: Backbone, engine: Engine, rate: float
) -> list[dict[str, Any]]:
    """The layers with weights, in the order of the run; none where the engine cannot time them."""
    time_layers = None
    if request.int8 is None:
        time_layers = engine_kind(engine.choice.name).layer_times
    if time_layers is None:
        return []
    frozen = backbone.frozen(engine.batch_size)
    try:
        runs = [time_layers(frozen, engine, threads=request.training.threads) for _ in range(RUNS)]
    except EngineError:
        return []
    seconds = engine.batch_size / rate
    named = {layer.name: layer for layer in backbone.sparsity_report.layers}
    nodes = {node.output[0]: node for node in frozen.graph.node if node.op_type in WEIGHT_INPUTS}
    sizes = {
        value.name: prod(d or 1 for d in dims_of(value))
        for value in (*frozen.graph.value_info, *frozen.graph.input, *frozen.graph.output)
    }
    found = []
    for step in zip(*runs, strict=True):
        inside = [nodes[name] for name in step[0].tensors if name in nodes]
        layers = [named.get(node.input[WEIGHT_INPUTS[node.op_type][0]]) for node in inside]
        if not layers or None in layers:
            continue
        share = statistics.median(run.share for run in step)
        found.append(
            _layer([layer for layer in layers if layer], inside, sizes, share * seconds, engine)
        )
    return found


def _layer(
    layers: Sequence[LayerSparsity],
    nodes: Sequence[onnx.NodeProto],
    sizes: dict[str, int],
    seconds: float,
    engine: Engine,
) -> dict[str, Any]:
    """Of one step: its work in multiply-adds with weights that are not zero, and what it must move.

    That are its inputs, its outputs and those weights, each once.
    """
    moved = sizes.get(nodes[0].input[0], 0) + sizes.get(nodes[-1].output[0], 0)
    kept = sum(layer.weights - layer.zeros for layer in layers)
    return {
        "name": layers[0].name,
        "shape": list(layers[0].shape),
        "sparsity": sum(layer.zeros for layer in layers) / sum(layer.weights for layer in layers),
        "seconds": seconds,
        "macs": engine.batch_size * sum(layer.nonzero_macs for layer in layers),
        "dense_macs": engine.batch_size * sum(layer.dense_macs for layer in layers),
        "bytes": FLOAT * (moved + kept),
    }


def machine_peaks(threads: int) -> dict[str, float | None]:
    """Multiply-adds a second in registers alone, and bytes a second to and from memory.

    Of so many threads at once; the first is None without the project's own library.
    """
    return {"macs": _peak_macs(threads), "bandwidth": _bandwidth(threads)}


def _peak_macs(threads: int) -> float | None:
    from edgetransfer.engines.sparse.library import load_library

    try:
        library = load_library()
    except EngineError:
        return None

    def spin(_: int) -> int:
        return SPIN_ROUNDS * int(library.sparse_spin(SPIN_ROUNDS))  # lets go of the interpreter

    return _best(threads, spin)


def _bandwidth(threads: int) -> float:
    arrays = [np.ones((2, COPIED // 8)) for _ in range(threads)]

    def copy(thread: int) -> int:
        np.copyto(arrays[thread][0], arrays[thread][1])
        return 3 * COPIED  # a store reads its line before

    return _best(threads, copy)


def _best(threads: int, work: Any) -> float:
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
        for _ in range(5):
            start = perf_counter()
            done = sum(pool.map(work, range(threads)))
            best = max(best, done / (perf_counter() - start))
    return best


if __name__ == "__main__":
    main(sys.stdin, sys.stdout, take_profile)
