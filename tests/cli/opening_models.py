"""Every command that opens a model, and how it is called with a stranger's.

In a folder with ``photos``, a network ``net.onnx`` and a run ``run``; {} is the stranger's model,
{run} the run, which holds it. What is written is ``out`` or ``out.onnx``.
"""

from __future__ import annotations

CALLS = {
    "train": "--data photos --backbone {} --out out",
    "finetune": "--data photos --backbone {} --out out",
    "finetune --teacher": "--data photos --backbone net.onnx --teacher {} --out out",
    "stream": "--source folder:photos --once --backbone {} --out out",
    "evaluate": "{} photos",
    "evaluate RUN": "{run} photos",
    "predict": "{} photos",
    "predict RUN": "{run} photos",
    "predict --backbone": "{run} photos --backbone {}",
    "search": "{run} photos --backbone {}",
    "audit": "photos --backbone {}",
    "audit RUN": "{run}",
    "extract": "--data photos --backbone {} --out out",
    "report": "{run}",
    "serve": "{} --port 0",
    "serve RUN": "{run} --port 0",
    "teach": "out --backbone {} --port 0",
    "inspect": "{}",
    "sparsify": "{} --calibration photos --out out.onnx",
    "sparsify --method magnitude": "{} --method magnitude --out out.onnx",
    "pretrain --dense": "--data photos --dense {} --out out.onnx",
    "pretrain --teacher": "--data photos --dense net.onnx --teacher {} --out out.onnx",
    "compact": "{} --out out.onnx",
    "benchmark": "--baseline {} --backbone net.onnx --data photos --out out",
    "benchmark --backbone": "--baseline net.onnx --backbone {} --data photos --out out",
    "analyse": "{} --data photos",
    "analyse --one-shot": "{} --data photos --one-shot 0.5",
    "compare": "--baseline {} --backbone net.onnx --data photos --out out",
    "compare --backbone": "--baseline net.onnx --backbone {} --data photos --out out",
    "tune": "{}",
    "export": "{run} --out out.onnx",
    "export --merge-head": "{run} --merge-head --out out",
    "import": "{} --out out.onnx",
}
# They open a run's features or its statistics, or a bundled backbone, and no graph of others.
NONE = {"track", "doctor", "demo", "check", "rollback", "forget", "relabel", "backbones"}
