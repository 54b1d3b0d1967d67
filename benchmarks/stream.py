"""What a stream costs: memory and speed over many images, and how long a sample waits.

    python benchmarks/stream.py --images 200000 --out stream.json

1. Memory: seeded 64 x 64 JPEGs in a tar shard, repeated with a new augmented view each time,
   through a backbone and the whole stream (journal, checkpoints, replay, refits). Reported: median
   resident memory of both halves and their ratio.
2. Speed: such a stream, and ``train --online`` on as many images with the same engine batch. A
   machine that others use too is faster in one minute than in the next, so both are open, and by
   turns one is stopped (SIGSTOP) and the other runs for some seconds. Reported: images a second of
   each while it ran, from its start to its end, and the ratio.
3. Latency: an HTTP client posts images one after the other, then many at once. Reported: median
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
PICTURES = 5000


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


def stream_command(
    folder: Path, backbone: str, engine: str, images: int, learner: str, out: str
) -> list[str]:
    steps = ("--batch-size", BATCH) if learner == "replay" else ()
    return command(
        *("stream", "--backbone", backbone, "--engine", engine, "--json"),
        *("--source", f"tar:{folder}/images.tar", "--repeat", "--limit", images),
        *("--views", 1, "--engine-batch", BATCH, "--out", folder / out),
        *("--learner", learner, *steps),
    )


def memory(folder: Path, backbone: str, engine: str, images: int, learner: str) -> dict[str, Any]:
    """One process over all images."""
    report, resident = run_watched(
        stream_command(folder, backbone, engine, images, learner, "long")
    )
    warm = resident[6:]  # seconds in which the engine compiles
    first, last = np.median(warm[: len(warm) // 2]), np.median(warm[len(warm) // 2 :])
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
    }


def speed(
    folder: Path, backbone: str, engine: str, images: int, learner: str, seconds: float
) -> dict[str, Any]:
    """Two long runs that take turns by the second; POSIX only."""
    epochs = max(1, images // PICTURES)
    images = PICTURES * epochs
    commands = {
        "stream": stream_command(folder, backbone, engine, images, learner, "sliced"),
        "train_online": command(
            *("train", "--backbone", backbone, "--engine", engine, "--json"),
            *("--data", folder / "images", "--online", "--epochs", epochs),
            *("--batch-size", BATCH, "--out", folder / "train"),
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
    speeds = {f"{name}_images_per_second": images / took for name, took in ran.items()}
    return {
        "images": images,
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
    parts = ["latency", "speed", "memory"]
    parser.add_argument("--seconds", type=float, default=10, help="of a slice")
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--learner", default="statistics", choices=["statistics", "replay"])
    parser.add_argument("--backbone", default="tinyresnet-90")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = pictures(PICTURES)
        write_inputs(folder, images)
        backbone, engine = arguments.backbone, arguments.engine
        result: dict[str, Any] = {}
        if "latency" in arguments.parts:
            result["latency"] = [
                latency(folder, backbone, engine, images[:n], engine_batch=b, clients=c)
                for n, b, c in ((500, 1, 1), (500, 16, 1), (3000, 16, 32))
            ]
        if "speed" in arguments.parts:
            result["speed"] = speed(
                folder, backbone, engine, arguments.images, arguments.learner, arguments.seconds
            )
        if "memory" in arguments.parts:
            result["memory"] = memory(folder, backbone, engine, arguments.images, arguments.learner)
    print(json.dumps(result, indent=2))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
