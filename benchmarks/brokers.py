"""A stream from Redis, Kafka and MQTT against the same photos as JSON Lines, in turns.

    python benchmarks/brokers.py --photos photos --n 1000

Brokers are those of the tests, on the loopback address; of Kafka it is Tansu, or librdkafka's mock
where that is not installed. Mosquitto is as it comes: it does not save all it has at each message.

Each round has all of them, each time in another order, and compares within itself. Beside messages
a second stands the processor time of this process a message, in ms, which a busy machine changes
less, and which the broker's own, in another process, has no part in.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import statistics
import sys
import tempfile
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


def turn(kind: str, lines: list[str], backbone: str) -> tuple[float, float]:
    """Seconds a message, and seconds of the processor."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sender = Lines(folder) if kind == "jsonl" else Messages(kind, folder)
        with sender.stack:
            settings = StreamSettings(
                source=sender.source, out=folder / "run", backbone=backbone, limit=len(lines)
            )
            sender.subscribe(settings)
            sender.send(lines)
            times: list[tuple[float, float]] = []

            def acknowledge(_outcome: object) -> None:
                times.append((time.monotonic(), time.process_time()))

            report = run_stream(settings, acknowledge=acknowledge)
            assert report["accepted"] == len(lines), report["refused"]
            # From one answer to another: opening the backbone and joining a group are not counted.
            first = len(times) // 10
            n = len(times) - 1 - first
            return (times[-1][0] - times[first][0]) / n, (times[-1][1] - times[first][1]) / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", default="jsonl,redis,kafka,mqtt")
    parser.add_argument("--backbone", default="tinyresnet-90")
    args = parser.parse_args()
    lines = records(args.photos, args.n)
    kinds = args.kinds.split(",")
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for number in range(args.rounds):
        for kind in (*kinds[number % len(kinds) :], *kinds[: number % len(kinds)]):
            seconds, processor = turn(kind, lines, args.backbone)
            found[kind].append((seconds, processor))
            row = {"kind": kind, "per_second": round(1 / seconds, 1)}
            print(json.dumps({**row, "processor_ms": round(1000 * processor, 2)}), flush=True)
    for kind, values in found.items():
        pairs = list(zip(found["jsonl"], values, strict=True))
        rates = sorted(base[0] / other[0] for base, other in pairs)
        work = sorted(base[1] / other[1] for base, other in pairs)
        row = {
            "kind": kind,
            "relative": round(statistics.median(rates), 3),
            "least": round(rates[0], 3),
            "most": round(rates[-1], 3),
            "relative_by_processor": round(statistics.median(work), 3),
        }
        print(json.dumps(row))


if __name__ == "__main__":
    main()
