"""Every bundled and installed backbone: accuracy, speed, and which of them are worth having.

    python benchmarks/backbones.py --transfer caltech-101=DIR [--classifier DIR] [--also FILE …]
    python benchmarks/backbones.py --speed [--also FILE …]
    python benchmarks/backbones.py --write

What is measured is kept in `backbones.json` beside this file, so that accuracies, which a busy
machine does not change, and speeds, which want a quiet one, may be measured at different times.

--transfer NAME=DIR (class folders, train and test; repeated) measures the mean accuracy per class
of a linear head on the backbone's features, and that on scikit-learn's digits. --classifier DIR
measures top-1 with the backbone's own classifier; one that ships without it has it on its card.
--speed measures images a second of the sparse engine, batches of 64, all backbones in turns; a
sparse one also as its dense twin, whose zeros are numbers. --write makes the table and the picture
in docs/ of what is there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from workloads import in_turns, median, report

from edgetransfer.atomic import write_atomically
from edgetransfer.backbones import Backbone
from edgetransfer.backbones.catalogue import bundled, installed
from edgetransfer.charts.benchmark_style import STYLE
from edgetransfer.charts.svg import Axis, Chart
from edgetransfer.engines import images_per_second, open_engine
from edgetransfer.errors import BackboneError
from edgetransfer.graphs.dense_twin import dense_twin
from edgetransfer.jobs.demo import write_digits
from edgetransfer.settings.evaluate import ClassifierTest
from edgetransfer.train import LinearTraining, train_linear
from edgetransfer.train.upstream import evaluate_upstream

BATCH = 64
KEPT = Path(__file__).with_name("backbones.json")
DOCS = Path(__file__).parent.parent / "docs"
PAGE, PICTURE = DOCS / "backbones.md", DOCS / "backbones.svg"
BEGIN, END = "<!-- table: benchmarks/backbones.py -->", "<!-- end of the table -->"
SPARSE = 0.2  # a backbone with fewer zeros counts as dense

Record = dict[str, Any]


def transferred(backbone: str, data: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        asked = LinearTraining(backbone=backbone, data=data, out=Path(folder) / "run")
        return float(train_linear(asked)["final"]["mean_per_class"])


def accuracies(record: Record, name: str, sets: dict[str, Path], classifier: Path | None) -> None:
    for title, data in sets.items():
        if title not in record["transfer"]:
            record["transfer"][title] = round(transferred(name, data), 4)
            print(f"{record['name']}: {record['transfer'][title]:.1%} on {title}", flush=True)
    if classifier is None or record["top1"] is not None:
        return
    try:
        found = evaluate_upstream(name, classifier, ClassifierTest())
        record["top1"] = round(found["top1"], 4)
    except BackboneError:  # no classifier in the file
        record["top1"] = Backbone.open(name).card.top1_photo_a_class


def speeds(records: list[Record], names: dict[str, str], repeats: int) -> None:
    """Images a second, in turns; engines are opened in each turn, one at a time."""

    def measured(name: str, twin: bool) -> float:
        frozen = Backbone.open(name).frozen(BATCH)
        engine = open_engine(dense_twin(frozen) if twin else frozen, engine="sparse")
        try:
            return images_per_second(engine)
        finally:
            engine.close()

    turns = {}
    for record in records:
        for key in ("speed", "dense_speed") if record["sparsity"] > SPARSE else ("speed",):
            turns[record["name"], key] = lambda n=names[record["name"]], k=key: measured(
                n, k == "dense_speed"
            )
    found = in_turns({f"{name} {key}": turn for (name, key), turn in turns.items()}, repeats)
    for record in records:
        for key in ("speed", "dense_speed"):
            if (values := found.get(f"{record['name']} {key}")) is not None:
                record[key] = median(values)


def table(records: list[Record], sets: list[str]) -> str:
    """A Markdown table, the fastest first."""

    def share(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f}"

    def speed(value: float | None) -> str:
        return "" if value is None else f"{value:,.0f}"

    head = ["backbone", "input", "non-zeros", *sets, "top-1", "images/s", "its dense twin"]
    rows = [
        [
            f"**{r['name']}**" if r["bundled"] else r["name"],
            str(r["size"]),
            f"{r['nonzero'] / 1e6:.2f} of {r['parameters'] / 1e6:.2f} M",
            *(share(r["transfer"].get(title)) for title in sets),
            share(r["top1"]),
            speed(r.get("speed")),
            speed(r.get("dense_speed")),
        ]
        for r in sorted(records, key=lambda r: -(r.get("speed") or 0))
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def picture(records: list[Record], title: str) -> str | None:
    """Accuracy over speed, with a line through the sparse ones; None without two speeds."""
    drawn = [r for r in records if r.get("speed") and title in r["transfer"]]
    if len(drawn) < 2:
        return None
    places = {r["name"]: (float(r["speed"]), 100 * r["transfer"][title]) for r in drawn}
    chart = Chart(
        Axis.over([0.0, *(x for x, _ in places.values())], "images a second, sparse engine"),
        Axis.over([y for _, y in places.values()], f"{title}, mean per class", "%"),
        "Accuracy of backbones over their speed",
    )
    sparse = [r for r in drawn if r["sparsity"] > SPARSE]
    line = sorted(places[r["name"]] for r in sparse)
    if len(line) > 1:
        chart.line(line, series=0, tooltip="through the sparse ones")
    for r in drawn:
        x, y = places[r["name"]]
        said = f"{r['name']}: {y:.1f} %, {x:,.0f} images/s"
        chart.point(x, y, series=0 if r in sparse else 1, tooltip=said)
    for r in drawn:
        chart.label(*places[r["name"]], r["name"])
    return chart.as_file(STYLE)


def write(records: list[Record]) -> None:
    sets = list(dict.fromkeys(title for r in records for title in r["transfer"]))
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = table(records, sets)
    drawn = picture(records, sets[0]) if sets else None
    if drawn is not None:
        write_atomically(PICTURE, drawn.encode())
        made += f"\n\n![Accuracy of backbones over their speed]({PICTURE.name})"
    write_atomically(PAGE, f"{before}{BEGIN}\n\n{made}\n\n{END}{after}".encode())


def described(name: str, backbone: str, kept: dict[str, Record]) -> Record:
    """What is known of a backbone; what was measured of other bytes is forgotten."""
    opened = Backbone.open(backbone)
    layers = opened.sparsity_report.layers
    old = kept.get(name, {})
    known = old if old.get("sha256") == opened.sha256 else {}
    return {
        "transfer": {},
        "top1": None,
        **known,
        "name": name,
        "sha256": opened.sha256,
        "bundled": name in bundled(),
        "size": opened.preprocessing.size,
        "parameters": sum(layer.weights for layer in layers),
        "nonzero": sum(layer.weights - layer.zeros for layer in layers),
        "sparsity": round(opened.sparsity, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--transfer", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--classifier", type=Path, metavar="DIR")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--also", type=Path, action="append", default=[], metavar="FILE")
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    kept = {}
    if KEPT.exists():
        kept = {r["name"]: r for r in json.loads(KEPT.read_text(encoding="utf-8"))}
    names = {name: name for name in (*bundled(), *installed())}
    names |= {path.stem: str(path) for path in args.also}
    chosen = [n for n in names if args.only is None or n in args.only]
    if args.transfer or args.classifier or args.speed:
        records = [described(name, names[name], kept) for name in chosen]
        with tempfile.TemporaryDirectory() as folder:
            sets = {}
            for given in args.transfer:
                title, _, data = given.partition("=")
                sets[title] = Path(data)
            if sets:
                write_digits(Path(folder))
                sets["digits"] = Path(folder)
            for record in records:
                accuracies(record, names[record["name"]], sets, args.classifier)
                kept[record["name"]] = record
                write_atomically(KEPT, json.dumps(list(kept.values()), indent=1).encode())
        if args.speed:
            speeds(records, names, args.repeats)
            write_atomically(KEPT, json.dumps(list(kept.values()), indent=1).encode())
            report("backbones", images_per_second={r["name"]: r.get("speed") for r in records})
    if args.write:
        write(list(kept.values()))


if __name__ == "__main__":
    main()
