"""Commands of the tool that open hostile files.

    python -m tests.graphs.hostile COMMAND FOLDER

has two hundred files opened by a command of the tool (`COMMANDS`), one after the other in this
process, and prints one JSON line a file: its name, the exit code, seconds of processor time and
the largest resident memory in bytes, its children's with them, and what was said. A file that ends
the process is known by the line that is missing; ``--from NUMBER`` goes on with the one after it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image

from edgetransfer.backbones import Backbone
from edgetransfer.errors import EdgeTransferError
from edgetransfer.heads import LinearHead
from edgetransfer.merging.metadata import written
from edgetransfer.types import Preprocessing
from tests.cli.opening_models import CALLS
from tests.graphs.hostile import hostile
from tests.graphs_made import tiny

# What keeps a command from going on for long with what it has opened.
BRIEF = {
    "inspect": "--batch-size 2 --no-compare",
    "tune": "--seconds 1",
    "finetune": "--epochs 1",
    "pretrain": "--epochs 1",
    "benchmark": "--epochs 1 --engines onnxruntime --no-profile --retakes 0",
}
COMMANDS = {name: f"{words} {BRIEF.get(name.split()[0], '')}" for name, words in CALLS.items()}
EXPORTS = ("predict", "serve")  # they take a file of a classifier, as it is given away


class Screen(io.StringIO):
    """What is said; once it says where a server listens, the server is told to end."""

    def write(self, text: str) -> int:
        if "open http://" in text:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().write(text)


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


def hold(run: Path, model: Path) -> None:
    """Have a run say that it was trained on a file, as a stranger's says of its own."""
    config = run / "config.toml"
    lines = config.read_text().splitlines()
    changed = [f'backbone = "{model}"' if x.startswith("backbone =") else x for x in lines]
    config.write_text("\n".join(changed) + "\n")
    with contextlib.suppress(EdgeTransferError):
        opened = Backbone.open(str(model))
        place = run / "head.safetensors"
        said = LinearHead.load(place).metadata
        head = LinearHead.initial(opened.dimension, ("blue", "green", "red"), seed=0)
        tensor = opened.cut.tensor
        head.save(place, {**said, "backbone": opened.identity, "features": tensor})


def peak(*, reset: bool = False) -> int:
    """The largest resident memory since it was reset, in bytes; of children, of any so far."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    own = int(status.partition("VmHWM:")[2].split()[0])
    return 1024 * max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--from", dest="start", type=int, default=0, metavar="NUMBER")
    parser.add_argument("--step", type=int, default=1)
    args = parser.parse_args()
    from edgetransfer.cli.main import main as edgetransfer

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(args.folder)
    os.environ["EDGETRANSFER_CACHE"] = str(args.folder / "cache")
    photos(Path("photos"))
    tiny(size=16).save(Path("net.onnx"))
    name, *_ = args.command.split()
    words = "train --data photos --backbone net.onnx --out run --solver ridge --no-report --quiet"
    if "{run}" in COMMANDS[args.command] and not Path("run").exists():
        with contextlib.redirect_stdout(sys.stderr):  # a line a file is all that goes there
            assert edgetransfer(words.split()) == 0
    for number, (graph, make) in enumerate(hostile().items()):
        if number < args.start or number % args.step:
            continue
        model = args.folder / f"{number}.onnx"
        proto = as_export(make()) if args.command in EXPORTS else make()
        model.write_bytes(proto.SerializeToString())
        called = COMMANDS[args.command].replace("{run}", "run").replace("{}", str(model))
        if "{run}" in COMMANDS[args.command]:
            hold(Path("run"), model)
        screen, start = Screen(), seconds()
        peak(reset=True)
        with contextlib.redirect_stderr(screen), contextlib.redirect_stdout(screen):
            code = edgetransfer([name, *called.split()])
        line = {
            "number": number,
            "name": graph,
            "code": code,
            "seconds": seconds() - start,
            "peak": peak(),
            "bytes": model.stat().st_size,
            "said": screen.getvalue()[-300:],
        }
        print(json.dumps(line), flush=True)
        shutil.rmtree("out", ignore_errors=True)
        Path("out.onnx").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
