"""Many photos through `extract`: here, on Ray, on Spark and on Dask, and with a worker killed.

Each makes the same tables of the same photos; they are compared byte for byte with those of one
process with two threads (``local``), which is also what rates are relative to; ``processes`` is two
processes of this machine with a thread each, ``auto`` as many as `extract` finds to pay. Rates
count from start to end, so beside each stands what it took of the processors, and the clock. In a
second turn of each a worker gets SIGKILL after the first table; the call is repeated if it ends in
an error.

    python benchmarks/scale.py --sheets tiny-imagenet-200/train --photos 20000 --out /tmp/scale
    python benchmarks/scale.py --data caltech-101/train --on local,processes --out /tmp/scale

``--python`` names the interpreter of an environment that has Ray, Spark and Dask.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from PIL import Image

from edgetransfer.benchmark.usage import clock_speed

TILE = 64
BASE = "local"
HERE = {"local": ("--processes", "1"), "processes": ("--processes", "2"), "auto": ()}
WORKERS = {
    "local": "extract",
    "processes": "extract.member",
    "auto": "extract",
    "ray": "ray::run_task",
    "spark": "pyspark.daemon",
    "dask": "spawn_main",
}


def write_tiles(sheets: Path, out: Path, photos: int) -> None:
    """Cut sheets into JPEG files, one folder a class, the same number of each."""
    paths = sorted(sheets.glob("*.jpg"))
    each = -(-photos // len(paths))
    for path in paths:
        folder = out / path.stem
        if folder.is_dir() and len(list(folder.iterdir())) == each:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        sheet = Image.open(path).convert("RGB")
        columns = sheet.width // TILE
        for i in range(each):
            left, top = i % columns * TILE, i // columns * TILE
            tile = sheet.crop((left, top, left + TILE, top + TILE))
            tile.save(folder / f"{i:03d}.jpg", quality=90)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("part-*"))
    }


def command(args: argparse.Namespace, photos: Path, on: str, out: Path) -> list[str]:
    return [
        *(args.python, "-m", "edgetransfer", "extract", "--data", str(photos), "--out", str(out)),
        *("--backbone", args.backbone, "--rows", str(args.rows), "--json"),
        *(("--threads", "2", *HERE[on]) if on in HERE else ("--on", on, "--threads", "1")),
    ]


def ended(process: subprocess.Popen[bytes]) -> dict[str, object]:
    out, err = process.communicate()
    if process.returncode:
        return {"failed": process.returncode, "stderr": err.decode()[-300:]}
    report = json.loads(out.splitlines()[-1])
    return {"photos": report["photos"], "tables_made": report["tables_made"]}


def processor_seconds() -> float:
    """Of all processes that were started here and have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start(call: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def kill_a_worker(process: subprocess.Popen[bytes], on: str, out: Path) -> str | None:
    """Kill one worker once there is a table; what was killed, or None if it had ended."""
    while process.poll() is None:
        if any(out.glob("part-*.parquet")):
            own = psutil.Process(process.pid)
            for one in [*reversed(own.children(recursive=True)), own]:  # forks before their parents
                with contextlib.suppress(psutil.Error):
                    line = " ".join(one.cmdline())
                    if WORKERS[on] in line and (on != "dask" or "forkserver" not in line):
                        os.kill(one.pid, signal.SIGKILL)
                        return line[:80]
        time.sleep(0.05)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--sheets", type=Path)
    given.add_argument("--data", type=Path, help="photos as they are, in place of --sheets")
    parser.add_argument("--photos", type=int, default=20000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--on", default="local,processes,ray,spark,dask")
    parser.add_argument("--backbone", default="tinyresnet-90")
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--no-kills", action="store_true")
    parser.add_argument("--only-kills", action="store_true", help="and one turn to compare with")
    parser.add_argument("--python", default=sys.executable)
    args = parser.parse_args()
    photos = args.data or args.out / "photos"
    if args.sheets:
        write_tiles(args.sheets, photos, args.photos)
    reference: dict[str, str] | None = None
    rates: dict[str, list[float]] = {}
    kinds = args.on.split(",")
    for _ in range(args.rounds):
        for on in kinds[:1] if args.only_kills else kinds:
            out = args.out / on
            shutil.rmtree(out, ignore_errors=True)
            began, before = time.monotonic(), processor_seconds()
            row = ended(start(command(args, photos, on, out)))
            seconds = time.monotonic() - began
            rates.setdefault(on, []).append(1 / seconds)
            reference = reference or digests(out)
            same = digests(out) == reference
            relative = rates[on][-1] / rates[BASE][-1] if BASE in rates else None
            row |= {"on": on, "seconds": round(seconds, 1), "relative": relative, "same": same}
            row |= {"processor": round(processor_seconds() - before, 1), "clock": clock_speed()}
            print(json.dumps(row), flush=True)
    for on in [] if args.no_kills else kinds:
        out = args.out / f"{on}-killed"
        shutil.rmtree(out, ignore_errors=True)
        process = start(command(args, photos, on, out))
        killed = kill_a_worker(process, on, out)
        row = ended(process)
        again = 0
        while "failed" in row and again < 3:
            again += 1
            row = {**ended(start(command(args, photos, on, out))), "first": row}
        same = digests(out) == reference
        print(json.dumps({**row, "on": on, "killed": killed, "again": again, "same": same}))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
