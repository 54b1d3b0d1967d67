"""A small real run of every command with ``--json``, on photos of coloured noise."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import onnx

import edgetransfer.benchmark.doubts
import edgetransfer.jobs.demo
from edgetransfer.cli.main import main as run_command
from tests.graphs_made import tiny
from tests.photos import COLOURS, write_photos

SERVERS = ("serve", "teach")


def doubtful(folder: Path) -> Path:
    """Photos with a copy, wrong labels that are outliers too, and one that is none."""
    photos = folder / "doubtful"
    write_photos(photos, 16, seed=4)
    shutil.copy(photos / "red" / "009.png", photos / "red" / "again.png")
    for number in range(2):
        (photos / "blue" / f"00{number}.png").rename(photos / "red" / f"blue-{number}.png")
    (photos / "green" / "broken.jpg").write_bytes(b"no picture")
    return photos


def commands(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Each command with arguments that make a report of its own, in an order that they can run."""
    photos, backbone, dense = folder / "photos", folder / "small.onnx", folder / "dense.onnx"
    write_photos(photos / "train", 12, seed=0)
    write_photos(photos / "test", 4, seed=1)
    (photos / "train" / "red" / "broken.jpg").write_bytes(b"no picture")
    write_photos(folder / "unlabelled", 6, seed=2)
    write_photos(folder / "incoming", 8, seed=3)
    onnx.save(tiny(size=32, width=16, classes=len(COLOURS)).model, str(dense))
    (folder / "labels").write_text("".join(f"{name}\n" for name in sorted(COLOURS)))
    common = ["--size", "32", "--resize", "36", "--data", str(photos), "--max-bad", "0.2"]
    trained, sparse = ["--backbone", str(backbone), *common], str(folder / "sparse.onnx")

    def out(name: str) -> list[str]:
        return ["--out", str(folder / name)]

    yield "import", [str(dense), *out("small.onnx"), "--size", "32", "--resize", "36"]
    yield "train", [*trained, *out("cached")]
    yield "train", [*trained, *out("lbfgs"), "--solver", "lbfgs"]
    online = ["--online", "--epochs", "1", "--val-fraction", "0.2"]
    yield "train", [*trained, *out("online"), *online]
    data = ["--data", str(photos), "--backbone", str(backbone), "--max-bad", "0.2"]
    yield "compare", [*data, *out("compared"), "--baseline", "tinyresnet-90"]
    yield "extract", [*trained, *out("features")]
    yield "train", ["--data", str(folder / "features"), *out("from-tables"), "--max-bad", "0.2"]
    yield "evaluate", [str(folder / "cached"), str(photos / "test")]
    classifier = ["--classifier", "--backbone", str(backbone), "--data", str(photos / "test")]
    yield "evaluate", [*classifier, "--labels", str(folder / "labels")]
    yield "search", [str(folder / "features"), str(photos / "test" / "red" / "000.png")]
    yield "track", [str(folder / "online"), "--to", "tensorboard", *out("events")]
    yield "audit", [str(doubtful(folder)), "--backbone", str(backbone), "--max-bad", "0.2"]
    yield "report", [str(folder / "cached")]
    yield "report", [str(folder / "cached"), str(folder / "lbfgs"), "--compare"]
    yield "predict", [str(folder / "cached"), str(photos / "test" / "red")]
    yield "inspect", [str(backbone), "--batch-size", "4", "--data", str(photos)]
    calibration = ["--calibration", str(folder / "unlabelled"), "--sparsity", "0.6"]
    size = ["--size", "32", "--resize", "36", "--batch-size", "4"]
    yield "sparsify", [str(backbone), *calibration, *size, *out("sparse.onnx")]
    refined = [*size, *out("refined.onnx"), "--refine", "0.01"]
    yield "sparsify", [str(backbone), *calibration, *refined]
    yield "inspect", [sparse, "--batch-size", "4"]
    yield "compact", [sparse, *out("smaller.onnx")]
    yield "finetune", ["--backbone", sparse, *common, *out("finetuned"), "--epochs", "1"]
    trained_small = ["--size", "16", "--width", "0.25", "--epochs", "1", "--max-bad", "0.2"]
    trained_small += ["--batch-size", "8", "--tuning-images", "16", "--data", str(photos)]
    yield "pretrain", [*trained_small, *out("acdc.onnx"), "--phases", "0,0.2,0.2,0.2,0.4"]
    yield "pretrain", [*trained_small, *out("cram.onnx"), "--policy", "cram+"]
    remembering = ["--random-labels", "0.1", "--phases", "0,1,1,0,1", "--epochs", "3"]
    yield "pretrain", [*trained_small, *out("remembering.onnx"), *remembering]
    analysed = [str(folder / "remembering.onnx"), str(folder / "remembering-dense.onnx")]
    tested = ["--data", str(photos), "--one-shot", "50", "--max-bad", "0.2"]
    yield "analyse", [*analysed, *tested, "--tuning-images", "16"]
    towards = ["--no-labels", "--dense", str(backbone), "--epochs", "1", "--batch-size", "4"]
    towards += ["--data", str(folder / "unlabelled"), "--policy", "gmp", "--sparsity", "0.5"]
    yield "pretrain", [*towards, *out("towards.onnx")]
    stream = ["--source", f"folder:{folder / 'incoming'}", "--once", *out("streamed")]
    stream += ["--backbone", str(backbone), "--size", "32", "--resize", "36"]
    yield "stream", [*stream, "--test-data", str(photos / "test")]
    yield "export", [str(folder / "cached"), *out("given.onnx")]
    yield "check", [str(folder / "streamed")]
    yield "serve", [str(folder / "cached"), "--port", "0"]
    yield "teach", [str(folder / "taught"), "--backbone", str(backbone), "--port", "0"]
    yield "export", [str(folder / "streamed"), *out("exported")]
    yield "export", [str(folder / "finetuned"), *out("merged"), "--merge-head"]
    yield "relabel", [str(folder / "streamed"), "--to", "red", "--id", "red/000.png"]
    yield "forget", [str(folder / "streamed"), "--class", "red"]
    yield "rollback", [str(folder / "streamed"), "--to", "24"]
    compared = ["--baseline", str(backbone), "--backbone", sparse, "--epochs", "1"]
    images = ["--images", "24", "--batch-size", "8", "--data", str(photos), "--max-bad", "0.2"]
    yield "benchmark", [*compared, *images, "--size", "32", "--resize", "36", *out("bench")]
    yield "tune", [str(backbone), "--seconds", "1"]
    yield "doctor", []
    yield "demo", out("demo")
    yield "backbones", []


def reports(folder: Path) -> Iterator[tuple[str, Any]]:
    """Each command with what it printed."""
    edgetransfer.benchmark.doubts.UNTELLABLE = 2.0  # whatever else this machine does now
    edgetransfer.jobs.demo.EPOCHS = 1  # of twenty, which have the same keys
    for command, arguments in commands(folder):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if command in SERVERS:
                Thread(target=end_once_it_listens, args=(printed,), daemon=True).start()
            code = run_command([command, *arguments, "--json"])
        assert code == 0, f"edgetransfer {command} {' '.join(arguments)}: exit code {code}"
        lines = printed.getvalue().splitlines() if command in SERVERS else [printed.getvalue()]
        for line in lines:
            yield command, json.loads(line)


def end_once_it_listens(printed: io.StringIO) -> None:
    """A server runs until it is told to end; it says first where it is."""
    while "address" not in printed.getvalue():
        sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)
