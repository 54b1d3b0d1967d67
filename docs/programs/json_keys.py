"""Writes ``docs/json.md``: the keys of every command's JSON, from a small real run of each.

    python docs/programs/json_keys.py           # write it (a minute or two; needs torch)
    python docs/programs/json_keys.py --check   # exit code 1 if it lacks a key, or has too many

Reports are plain dictionaries, so what they hold is asked of the program itself: each command runs
with ``--json`` on photos of coloured noise, as the tests have them. Numbers differ from run to run
and machine to machine, keys do not; keys that are names (of classes, engines, layers) stand as one.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

import onnx  # noqa: E402

import edgetransfer.benchmark.doubts  # noqa: E402
import edgetransfer.jobs.demo  # noqa: E402
from edgetransfer.cli.main import main as run_command  # noqa: E402
from tests.graphs_made import tiny  # noqa: E402
from tests.photos import COLOURS, write_photos  # noqa: E402

PAGE = REPOSITORY / "docs" / "json.md"
INTRODUCTION = """\
# JSON

This page is made by running each command: `make reference` writes it anew.

Every command takes `--json` and then prints one object on stdout; `serve` and `teach` one when they
listen, and one at the end. A key that is not there in
every case is marked; `null` stands for what is not known, and for numbers that are not finite.
`report.json` of a run holds what the command printed. Keys in angle brackets are names: of
classes, of engines, of layers. Times are in seconds, sizes in bytes, shares and accuracies lie in 0
to 1 unless a name says otherwise.
"""
# Objects whose keys are names: paths, as they are written below.
NAMED: tuple[tuple[str, str], ...] = (
    (r"(.*\.)?per_class|class_counts", "class"),
    (r"engines|plan\.images_per_second", "engine"),
    (r"(.*\.)?(versions|packages)", "package"),
    (r"data\.ignored|data\.left_out|data\.learned_too", "reason"),
)
SERVERS = ("serve", "teach")


class Keys:
    """The keys of some objects of one kind: what each holds, and in how many it stands."""

    def __init__(self) -> None:
        self.kinds: dict[str, set[str]] = {}
        self._seen: Counter[str] = Counter()
        self._inside: Counter[str] = Counter()

    def add(self, value: Any, path: str = "") -> None:
        """Count the keys of an object, or of those in a list, and what is in them."""
        if isinstance(value, dict):
            self._add_object(value, path)
        elif isinstance(value, list):
            for item in value:
                self.add(item, f"{path}[]")

    def _add_object(self, value: dict[str, Any], path: str) -> None:
        self._inside[path] += 1
        name = next((n for pattern, n in NAMED if re.fullmatch(pattern, path)), None)
        for key, item in value.items():
            shown = key if name is None else f"<{name}>"
            there = f"{path}.{shown}" if path else shown
            self.kinds.setdefault(there, set()).add(kind_of(item))
            self._seen[there] += 1
            self.add(item, there)

    def lines(self) -> Iterator[str]:
        """Rows of a table, what is in an object behind it."""
        for path in in_order(self.kinds):
            always = self._seen[path] >= self._inside[path.rpartition(".")[0]]
            kinds = sorted(self.kinds[path], key=lambda kind: (kind == "null", kind))
            if "list" in kinds and any(kind.startswith("list of") for kind in kinds):
                kinds.remove("list")  # an empty one
            yield f"| `{path}` | {' or '.join(kinds)} | {'' if always else 'not always'} |"


def in_order(paths: Iterable[str]) -> list[str]:
    """Paths as they came, but each behind what it is in."""
    known = list(paths)
    place = {path: number for number, path in enumerate(known)}

    def ancestry(path: str) -> list[int]:
        parts = path.split(".")
        above = (".".join(parts[: n + 1]).removesuffix("[]") for n in range(len(parts)))
        return [place.get(name.replace("[][]", "[]"), place[path]) for name in above]

    return sorted(known, key=ancestry)


def kind_of(value: Any) -> str:
    """What JSON calls a value; whole numbers are numbers."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            inner = {kind_of(item) for item in value}
            return f"list of {inner.pop()}" if len(inner) == 1 else "list"
    return "object"


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
    yield "extract", [*trained, *out("features")]
    yield "train", ["--data", str(folder / "features"), *out("from-tables"), "--max-bad", "0.2"]
    yield "evaluate", [str(folder / "cached"), str(photos / "test")]
    classifier = ["--classifier", "--backbone", str(backbone), "--data", str(photos / "test")]
    yield "evaluate", [*classifier, "--labels", str(folder / "labels")]
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
    trained_small = ["--size", "16", "--width", "0.25", "--epochs", "1", "--max-bad", "0.2"]
    trained_small += ["--batch-size", "8", "--tuning-images", "16", "--data", str(photos)]
    yield "pretrain", [*trained_small, *out("acdc.onnx"), "--phases", "0,0.2,0.2,0.2,0.4"]
    yield "pretrain", [*trained_small, *out("cram.onnx"), "--policy", "cram+"]
    towards = ["--no-labels", "--dense", str(backbone), "--epochs", "1", "--batch-size", "4"]
    towards += ["--data", str(folder / "unlabelled"), "--policy", "gmp", "--sparsity", "0.5"]
    yield "pretrain", [*towards, *out("towards.onnx")]
    yield "inspect", [sparse, "--batch-size", "4"]
    yield "compact", [sparse, *out("smaller.onnx")]
    yield "finetune", ["--backbone", sparse, *common, *out("finetuned"), "--epochs", "1"]
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


def measured(folder: Path) -> dict[str, Keys]:
    """The keys of every command's JSON."""
    edgetransfer.jobs.demo.EPOCHS = 1  # of twenty, which have the same keys
    edgetransfer.benchmark.doubts.UNTELLABLE = 2.0  # whatever else this machine does now
    found: dict[str, Keys] = {}
    for command, arguments in commands(folder):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if command in SERVERS:
                Thread(target=end_once_it_listens, args=(printed,), daemon=True).start()
            code = run_command([command, *arguments, "--json"])
        if code != 0:
            raise SystemExit(f"edgetransfer {command} {' '.join(arguments)}: exit code {code}")
        lines = printed.getvalue().splitlines() if command in SERVERS else [printed.getvalue()]
        for line in lines:
            found.setdefault(command, Keys()).add(json.loads(line))
    return found


def end_once_it_listens(printed: io.StringIO) -> None:
    """A server runs until it is told to end; it says first where it is."""
    while "address" not in printed.getvalue():
        sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)


def document(found: dict[str, Keys]) -> str:
    """The page's text."""
    parts = [INTRODUCTION]
    for command, keys in sorted(found.items()):
        parts += [f"## {command}\n", "| key | | |\n|---|---|---|", *keys.lines(), ""]
    parts.append("`backbones get` prints what `import` does.\n")
    return "\n".join(parts)


def differences(found: dict[str, Keys], text: str) -> list[str]:
    """Keys that the page lacks, and those that it alone has; machines agree on these."""
    written = set()
    for section in text.split("\n## ")[1:]:
        command = section.split("\n", 1)[0].strip()
        written |= {(command, key) for key in re.findall(r"^\| `([^`]+)` \|", section, re.M)}
    now = {(command, key) for command, keys in found.items() for key in keys.kinds}
    lacks = [f"{command} lacks {key}" for command, key in sorted(now - written)]
    return lacks + [f"{command} has no {key} any more" for command, key in sorted(written - now)]


def main() -> int:
    """Write the page, or compare it."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["EDGETRANSFER_CACHE"] = str(Path(name) / "cache")
        found = measured(Path(name))
    if "--check" in sys.argv[1:]:
        stale = differences(found, PAGE.read_text("utf-8"))
        print("\n".join(stale))
        return int(bool(stale))
    PAGE.write_text(document(found), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
