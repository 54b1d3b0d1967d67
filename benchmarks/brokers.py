"""A stream from Redis, Kafka and MQTT against the same photos as JSON Lines, in turns.

    python benchmarks/brokers.py --photos photos --n 1000

Brokers are those of the tests, on the loopback address; of Kafka it is librdkafka's mock. Mosquitto
is as it comes: it does not save all it has at each message.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from edgetransfer import StreamSettings
from edgetransfer.stream import run_stream
from tests.stream import brokers_made
from tests.stream.test_brokers import Sender

brokers_made.MOSQUITTO = ""


def records(photos: Path, n: int) -> list[str]:
    paths = sorted(photos.rglob("*.jpg"))[:: max(1, len(list(photos.rglob("*.jpg"))) // n)][:n]
    return [
        json.dumps(
            {
                "base64": base64.b64encode(path.read_bytes()).decode(),
                "label": path.parent.name,
                "id": str(path.relative_to(photos)),
            }
        )
        for path in paths
    ]


class Lines:
    """What `Sender` sends, read from a file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "lines.jsonl"
        self.source = f"jsonl:{self._file}"
        self.stack = contextlib.ExitStack()

    def send(self, lines: list[str]) -> None:
        self._file.write_text("\n".join(lines) + "\n")

    def subscribe(self, _settings: object) -> None:
        """Nobody needs to know of it."""


class Messages(Sender):
    """Sends JSON of the photos that it is given."""

    def send(self, lines: list[str]) -> None:  # type: ignore[override]
        import tests.stream.test_brokers as module

        module.as_json = lines.__getitem__  # type: ignore[assignment]
        super().send(range(len(lines)))


def seconds_of(kind: str, lines: list[str], backbone: str) -> float:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sender = Lines(folder) if kind == "jsonl" else Messages(kind, folder)
        with sender.stack:
            settings = StreamSettings(
                source=sender.source, out=folder / "run", backbone=backbone, limit=len(lines)
            )
            sender.subscribe(settings)
            sender.send(lines)
            times: list[float] = []
            done = threading.Semaphore(0)

            def acknowledge(_outcome: object) -> None:
                times.append(time.monotonic())
                done.release()

            report = run_stream(settings, acknowledge=acknowledge)
            assert report["accepted"] == len(lines), report["refused"]
            # From one answer to another: opening the backbone and joining a group are not counted.
            first = len(times) // 10
            return (times[-1] - times[first]) / (len(times) - 1 - first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", default="jsonl,redis,kafka,mqtt")
    parser.add_argument("--backbone", default="tinyresnet-90")
    args = parser.parse_args()
    lines = records(args.photos, args.n)
    found: dict[str, list[float]] = {}
    for _ in range(args.rounds):
        for kind in args.kinds.split(","):
            found.setdefault(kind, []).append(seconds_of(kind, lines, args.backbone))
            print(json.dumps({"kind": kind, "per_second": 1 / found[kind][-1]}), flush=True)
    base = statistics.median(found["jsonl"])
    for kind, values in found.items():
        print(json.dumps({"kind": kind, "relative": base / statistics.median(values)}))


if __name__ == "__main__":
    main()
