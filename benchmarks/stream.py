"""What a stream costs: memory and speed over many images, and how long a sample waits.

    python benchmarks/stream.py --images 200000 --out stream.json

1. Memory and speed: seeded 64 x 64 JPEGs in a tar shard, repeated with a new augmented view each
   time, through the bundled backbone and the whole stream (journal, checkpoints, replay, refits).
   Before and after it ``train --online`` on the same images with the same engine batch.
   Reported: median resident memory of both halves and their ratio, images a second of both and
   their ratio, the median of train's epochs taken.
2. Speed in turns: a machine that others use too is faster in one minute than in the next. So a
   stream of its own goes on by 10,000 images, then ``train --online`` does two epochs of 5,000,
   and so on. Reported: both speeds and their ratio by round, and the median ratio.
3. Speed in slices: the same, over one long stream. It and ``train --online`` of as many images are
   both open, and by turns one is stopped (SIGSTOP) and the other runs for some seconds, so that
   both meet the same good and bad minutes. Reported: images a second of each while it ran, from
   its start to its end, and the ratio.
4. Latency: an HTTP client posts images one after the other, then many at once. Reported: median
   and 99th percentile, seen by the client, from sending to acknowledgement (on disk).
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

CLASSES = 10
BATCH = 64


def pictures(n: int) -> list[bytes]:
    """Smooth coloured noise whose mean colour tells the class, as JPEG."""
    rng = np.random.default_rng(0)
    colours = rng.uniform(40, 215, (CLASSES, 3))
    made = []
    for i in range(n):
        coarse = colours[i % CLASSES] + rng.normal(0, 60, (8, 8, 3))
        small = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8))
        buffer = io.BytesIO()
        small.resize((64, 64), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        made.append(buffer.getvalue())
    return made


def write_inputs(folder: Path, images: list[bytes]) -> None:
    with tarfile.open(folder / "images.tar", "w") as archive:
        for i, data in enumerate(images):
            path = folder / "images" / f"class-{i % CLASSES}" / f"{i:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            for name, content in (
                (f"{i:05d}.jpg", data),
                (f"{i:05d}.cls", f"class-{i % CLASSES}".encode()),
            ):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "edgetransfer", *map(str, arguments)]


def run_watched(arguments: list[str]) -> tuple[dict[str, Any], list[int]]:
    """Run a command; returns its JSON and its resident memory, twice a second."""
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    watched = psutil.Process(process.pid)
    resident: list[int] = []

    def watch() -> None:
        while process.poll() is None:
            try:
                resident.append(watched.memory_info().rss)
            except psutil.NoSuchProcess:
                return
            time.sleep(0.5)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.stdout is not None
    text = process.stdout.read()
    process.wait()
    watcher.join()
    return json.loads(text), resident


def long_stream(folder: Path, backbone: str, engine: str, images: int) -> dict[str, Any]:
    """One process over all images, with ``train`` before and after."""
    shared = ("--backbone", backbone, "--engine", engine, "--json")

    def train(name: str) -> list[float]:
        report, _ = run_watched(
            command(
                *("train", *shared, "--data", folder / "images", "--online", "--epochs", 5),
                *("--batch-size", BATCH, "--out", folder / name),
            )
        )
        return [epoch["images_per_second"] for epoch in report["epochs"]]

    stream = command(
        *("stream", *shared, "--source", f"tar:{folder}/images.tar", "--repeat"),
        *("--views", 1, "--engine-batch", BATCH, "--batch-size", BATCH, "--out", folder / "long"),
    )
    trained = train("before")
    report, resident = run_watched([*stream, "--limit", str(images)])
    warm = resident[6:]  # seconds in which the engine compiles
    first, last = np.median(warm[: len(warm) // 2]), np.median(warm[len(warm) // 2 :])
    trained += train("after")
    return {
        "images": report["accepted"],
        "seconds": report["seconds"],
        "stages": report["stages"],
        "window": report["window"],
        "engine": report["engine"],
        "resident_first_half_mib": first / 2**20,
        "resident_last_half_mib": last / 2**20,
        "resident_ratio": last / first,
        "resident_largest_mib": max(resident) / 2**20,
        "stream_images_per_second": report["samples_per_second"],
        "train_online_images_per_second": trained,
        "speed_ratio": report["samples_per_second"] / float(np.median(trained)),
    }


def in_turns(folder: Path, backbone: str, engine: str, rounds: int) -> dict[str, Any]:
    """The stream's speed against that of ``train --online``, turn by turn."""
    shared = ("--backbone", backbone, "--engine", engine, "--json")
    speeds = []
    for turn in range(rounds):
        streamed, _ = run_watched(
            command(
                *("stream", *shared, "--source", f"tar:{folder}/images.tar", "--repeat"),
                *("--views", 1, "--engine-batch", BATCH, "--batch-size", BATCH),
                *("--out", folder / "turns", "--limit", 10_000 * (turn + 1)),
            )
        )
        trained, _ = run_watched(
            command(
                *("train", *shared, "--data", folder / "images", "--online", "--epochs", 2),
                *("--batch-size", BATCH, "--out", folder / "turn", "--overwrite"),
            )
        )
        epochs = [epoch["images_per_second"] for epoch in trained["epochs"]]
        speeds.append((streamed["samples_per_second"], len(epochs) / sum(1 / e for e in epochs)))
    return {
        "stream_images_per_second": [stream for stream, _ in speeds],
        "train_online_images_per_second": [train for _, train in speeds],
        "speed_ratio": float(np.median([stream / train for stream, train in speeds])),
    }


def in_slices(
    folder: Path, backbone: str, engine: str, images: int, seconds: float
) -> dict[str, Any]:
    """Two long runs that take turns by the second; POSIX only."""
    shared = ("--backbone", backbone, "--engine", engine, "--json")
    epochs = max(1, images // 5000)
    commands = {
        "stream": command(
            *("stream", *shared, "--source", f"tar:{folder}/images.tar", "--repeat"),
            *("--views", 1, "--engine-batch", BATCH, "--batch-size", BATCH),
            *("--out", folder / "sliced", "--limit", 5000 * epochs),
        ),
        "train_online": command(
            *("train", *shared, "--data", folder / "images", "--online", "--epochs", epochs),
            *("--batch-size", BATCH, "--out", folder / "slice"),
        ),
    }
    running: dict[str, subprocess.Popen[bytes]] = {}
    ran = dict.fromkeys(commands, 0.0)
    try:
        while len(running) < len(commands) or any(p.returncode is None for p in running.values()):
            for name, arguments in commands.items():
                begin = time.perf_counter()
                if name not in running:
                    running[name] = subprocess.Popen(
                        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                    )
                process = running[name]
                if process.returncode is not None:
                    continue
                process.send_signal(signal.SIGCONT)
                try:
                    if process.wait(seconds) != 0:
                        raise SystemExit(f"{name} ended with {process.returncode}")
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGSTOP)
                ran[name] += time.perf_counter() - begin
    finally:
        for process in running.values():
            process.kill()
    speeds = {f"{name}_images_per_second": 5000 * epochs / took for name, took in ran.items()}
    return {
        "images": 5000 * epochs,
        "slice_seconds": seconds,
        **speeds,
        "speed_ratio": ran["train_online"] / ran["stream"],
    }


def latency(
    folder: Path,
    backbone: str,
    engine: str,
    images: list[bytes],
    *,
    engine_batch: int,
    clients: int,
) -> dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    run = folder / f"latency-{engine_batch}-{clients}"
    stream = subprocess.Popen(
        command(
            *("stream", "--backbone", backbone, "--engine", engine, "--source", f"http:{port}"),
            *("--engine-batch", engine_batch, "--out", run, "--json"),
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            if stream.poll() is not None:
                raise SystemExit("the stream did not start") from None
            time.sleep(0.1)
    seconds: list[float] = []
    refused = [0]

    def client(mine: list[int]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for i in mine:
            while True:
                start = time.perf_counter()
                connection.request(
                    "POST",
                    f"/samples?id={i}&label=class-{i % CLASSES}",
                    images[i],
                    {"Content-Type": "image/jpeg"},
                )
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    seconds.append(time.perf_counter() - start)
                    break
                refused[0] += 1
                time.sleep(0.05)

    client([0, 1, 2, 3])
    seconds.clear()
    places = list(range(4, len(images)))
    begin = time.perf_counter()
    threads = [threading.Thread(target=client, args=(places[k::clients],)) for k in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    stream.send_signal(signal.SIGTERM)
    if stream.wait(60) != 0:
        raise SystemExit("the stream did not end well")
    return {
        "engine_batch": engine_batch,
        "clients": clients,
        "median_ms": 1e3 * float(np.median(seconds)),
        "p99_ms": 1e3 * float(np.quantile(seconds, 0.99)),
        "samples_per_second": len(seconds) / took,
        "answered_429": refused[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=20_000, help="length of a long stream")
    parser.add_argument("--rounds", type=int, default=4, help="of the stream and train in turns")
    parts = ["latency", "turns", "slices", "long"]
    parser.add_argument("--seconds", type=float, default=10, help="of a slice")
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--backbone", default="tinyresnet-90")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = pictures(5000)
        write_inputs(folder, images)
        backbone, engine = arguments.backbone, arguments.engine
        result: dict[str, Any] = {}
        if "latency" in arguments.parts:
            result["latency"] = [
                latency(folder, backbone, engine, images[:n], engine_batch=b, clients=c)
                for n, b, c in ((500, 1, 1), (500, 16, 1), (3000, 16, 32))
            ]
        if "turns" in arguments.parts:
            result["turns"] = in_turns(folder, backbone, engine, arguments.rounds)
        if "slices" in arguments.parts:
            result["slices"] = in_slices(
                folder, backbone, engine, arguments.images, arguments.seconds
            )
        if "long" in arguments.parts:
            result["long"] = long_stream(folder, backbone, engine, arguments.images)
    print(json.dumps(result, indent=2))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
