"""A dense backbone in int8 in OpenVINO: what a person would take who has no sparse one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgetransfer.atomic import write_atomically
from edgetransfer.backbones import Backbone
from edgetransfer.benchmark.floor import NoEngine
from edgetransfer.data import Sample
from edgetransfer.engines import Engine, engine_kind
from edgetransfer.engines.processor import cpu_flags
from edgetransfer.errors import EngineError
from edgetransfer.features import FeatureExtractor
from edgetransfer.finetune.batchnorm import fold
from edgetransfer.graphs.quantising import in_int8, quantised_tensors
from edgetransfer.settings.train import LinearTraining
from edgetransfer.types import Float32Array
from edgetransfer.untrusted_json import json_value

ENGINE = "openvino"
CALIBRATED_ON = 64  # photos, spread over the training split
KEPT = 0.9999  # share of a tensor's values that lie within its range
LOOKED_AT = 200_000  # values of a tensor and batch
VNNI = ("avx512_vnni", "avx_vnni")  # adds four products in 32 bits
BATCH = 4  # of calibration


class _KeptImages(NoEngine):
    """Keeps the batches that it is given."""

    def __init__(self, *, batch_size: int, size: int) -> None:
        super().__init__(batch_size=batch_size, size=size, cells=1)
        self.batches: list[Float32Array] = []

    def run(self, images: Float32Array) -> Float32Array:
        """See `Engine.run`."""
        self.batches.append(np.array(images))
        return super().run(images)


@contextmanager
def int8_extractor(
    backbone: Backbone, training: LinearTraining, samples: Sequence[Sample], ranges: Path
) -> Iterator[FeatureExtractor]:
    """The pipeline with a backbone in int8, calibrated on eval views of training photos.

    Parameters
    ----------
    ranges
        A file for what calibration found, so that it is done once.

    Raises
    ------
    EngineError
        If OpenVINO is absent or cannot run the graph.
    """
    with ExitStack() as stack:
        engine = open_int8(backbone, training, samples, ranges)
        stack.callback(engine.close)
        yield stack.enter_context(
            FeatureExtractor(
                engine,
                backbone.preprocessing,
                workers=training.workers or training.threads,
                cores=training.threads,
            )
        )


def open_int8(
    backbone: Backbone, training: LinearTraining, samples: Sequence[Sample], ranges: Path
) -> Engine:
    """The engine alone; see `int8_extractor`."""
    chosen = samples[:: -(-len(samples) // CALIBRATED_ON)]
    if not ranges.is_file():
        found = ranges_of(fold(backbone.frozen(BATCH)), _batches(backbone, training, chosen))
        ranges.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(ranges, json.dumps(found).encode())
    bits = 8 if set(VNNI) & set(cpu_flags()) else 7
    model = in_int8(
        fold(backbone.frozen(training.batch_size)), json_value(ranges.read_text()), weight_bits=bits
    )
    reason = f"dense in int8, calibrated on {len(chosen)} training photos"
    if bits < 8:
        reason += "; weights in 7 bits, for this processor has no VNNI"
    engine: Any = engine_kind(ENGINE).open(model, threads=training.threads, reason=reason)
    # Its features are not those of float32: nothing may take one for the other.
    engine.choice = replace(engine.choice, name=f"{ENGINE}-int8")
    opened: Engine = engine
    return opened


def _batches(
    backbone: Backbone, training: LinearTraining, samples: Sequence[Sample]
) -> list[Float32Array]:
    """Full batches of eval views."""
    kept = _KeptImages(batch_size=BATCH, size=backbone.preprocessing.size)
    with FeatureExtractor(kept, backbone.preprocessing, cores=training.threads) as extractor:
        for _ in extractor.extract(samples):
            pass
    full = [batch for batch in kept.batches if len(batch) == BATCH]
    return full or [np.resize(kept.batches[0], kept.input_shape)]


def ranges_of(
    frozen: onnx.ModelProto, batches: Sequence[Float32Array]
) -> dict[str, tuple[float, float]]:
    """Between which values the tensors lie that `in_int8` needs, but for one in ten thousand."""
    import onnxruntime

    names = quantised_tensors(frozen)
    probe = onnx.ModelProto()
    probe.CopyFrom(frozen)
    source = probe.graph.input[0].name
    inner = [name for name in names if name != source]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    try:
        session = onnxruntime.InferenceSession(
            probe.SerializeToString(), providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise EngineError(f"its ranges for int8 cannot be measured: {error}") from error
    found: dict[str, tuple[float, float]] = {}
    for batch in batches:
        values = {
            source: batch,
            **dict(zip(inner, session.run(inner, {source: batch}), strict=True)),
        }
        for name in names:
            some = values[name].ravel()
            some = some[:: max(1, some.size // LOOKED_AT)]
            low, high = np.quantile(some, [1 - KEPT, KEPT])
            before = found.get(name, (0.0, 0.0))
            found[name] = (min(before[0], float(low)), max(before[1], float(high)))
    return found
