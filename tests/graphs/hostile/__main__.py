"""Commands of the tool that open hostile files.

    python -m tests.graphs.hostile COMMAND FOLDER

has two hundred files opened by a command of the tool (`COMMANDS`), one after the other in this
process, and prints one JSON line a file: its name, the exit code, seconds of processor time, the
largest resident memory in bytes, and what was said. A file that ends the process is known by the
line that is missing; ``--from NUMBER`` goes on with the one after it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image

from edgetransfer.merging.metadata import written
from edgetransfer.types import Preprocessing
from tests.graphs.hostile import hostile

COMMANDS: dict[str, tuple[str, ...]] = {
    "inspect": ("{model}", "--batch-size", "2", "--no-compare"),
    "compact": ("{model}", "--out", "{out}.onnx"),
    "sparsify": ("{model}", "--out", "{out}.onnx", "--calibration", "{photos}"),
    "train": ("--backbone", "{model}", "--data", "{photos}", "--out", "{out}", "--engine", "auto"),
    "import": ("{model}", "--out", "{out}.onnx"),
    "finetune": ("--backbone", "{model}", "--data", "{photos}", "--out", "{out}", "--epochs", "1"),
    "extract": ("--backbone", "{model}", "--data", "{photos}", "--out", "{out}"),
    "stream": ("--backbone", "{model}", "--source", "folder:{photos}", "--once", "--out", "{out}"),
    "evaluate": ("{model}", "{photos}"),
    "predict": ("{model}", "{photos}"),
    "tune": ("{model}", "--seconds", "1"),
}


def photos(folder: Path) -> Path:
    """Two classes of four pictures."""
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        for i in range(4):
            path = folder / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    return folder


def as_export(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same as a classifier that somebody gives away, as `edgetransfer export` writes them."""
    gemm = model.graph.node[-1]
    if gemm.op_type == "Gemm" and len(gemm.input) == 2:
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(5, np.float32), "bias"))
        gemm.input.append("bias")
        del gemm.attribute[:]  # an export's weights are (features, classes)
        for stored in model.graph.initializer:
            if stored.name == gemm.input[1]:
                turned = numpy_helper.to_array(stored).T
                stored.CopyFrom(numpy_helper.from_array(turned, stored.name))
    out = model.graph.output[0]
    model.graph.node.append(helper.make_node("Softmax", [out.name], ["probabilities"], axis=1))
    out.name = "probabilities"
    preprocessing = Preprocessing(size=16, resize=16)
    said = written(("a", "b", "c", "d", "e"), preprocessing, inside=False, unknown_below=None)
    helper.set_model_props(model, said)
    return model


def peak(*, reset: bool = False) -> int:
    """The largest resident memory since it was reset, in bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--from", dest="start", type=int, default=0, metavar="NUMBER")
    parser.add_argument("--step", type=int, default=1)
    args = parser.parse_args()
    from edgetransfer.cli.main import main as edgetransfer

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data = photos(args.folder / "photos")
    for number, (name, make) in enumerate(hostile().items()):
        if number < args.start or number % args.step:
            continue
        model, out = args.folder / f"{number}.onnx", args.folder / f"out{number}"
        proto = as_export(make()) if args.command == "predict" else make()
        model.write_bytes(proto.SerializeToString())
        places = {"model": str(model), "out": str(out), "photos": str(data)}
        arguments = [word.format(**places) for word in COMMANDS[args.command]]
        said = io.StringIO()
        start = time.process_time()
        peak(reset=True)
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            code = edgetransfer([args.command, *arguments])
        line = {
            "number": number,
            "name": name,
            "code": code,
            "seconds": time.process_time() - start,
            "peak": peak(),
            "bytes": model.stat().st_size,
            "said": said.getvalue()[-300:],
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
