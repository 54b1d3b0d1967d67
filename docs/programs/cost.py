"""Writes the tables of ``docs/cost.md``, or prints those of your own numbers.

python docs/programs/cost.py                       # write the page's tables
python docs/programs/cost.py --check               # exit code 1 if they are not current
python docs/programs/cost.py --print --cores 64 --dollars 0.05 --megapixels 12 --kilobytes 4000
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cluster import Cluster, simulated
from cost_model import Assumptions, Backbone, cost_of, decoding, milliseconds

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "cost.md"
MEASURED = ROOT / "benchmarks" / "backbones.json"
CORES_MEASURED = 2
DIMENSIONS = {"tinyresnet-90": 256, "mobilenet-v2": 1280}  # the others: 1,280
PHOTOS = (1e6, 1e7, 1e8, 1e9)
ROWS = (1024, 4096, 16384, 65536)


def backbones() -> list[Backbone]:
    """Those that were measured, and the dense twins of the sparse ones."""
    found = []
    for row in json.loads(MEASURED.read_text()):
        speeds = [(row["name"], row["speed"])]
        if row.get("dense_speed"):
            speeds.append((f"{row['name']}, its dense twin", row["dense_speed"]))
        found += [
            Backbone(
                name=name,
                size=row["size"],
                per_core=speed / CORES_MEASURED,
                dimension=DIMENSIONS.get(row["name"], 1280),
            )
            for name, speed in speeds
            if speed
        ]
    return sorted(found, key=lambda one: -one.per_core)


IN_ALL = ("efficientnet-lite0-128-50", "efficientnet-lite0-50")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """A number with as many digits as it deserves."""
    if value >= 99.5:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"


def per_photo(given: Assumptions) -> str:
    """What a photo takes, by backbone."""
    head = ("backbone", "decode, ms", "engine, ms", "photos/s and core")
    return table(
        head,
        (
            (
                one.name,
                f"{decoding(one, given):.2f}",
                f"{1000 / one.per_core:.2f}",
                number(1000 / milliseconds(one, given)),
            )
            for one in backbones()
        ),
    )


def in_all(given: Assumptions, cores: int) -> str:
    """What very many take, of the bundled backbones that people would choose, and their twins."""
    head = (
        *("photos", "backbone", "core-hours", f"hours on {cores} cores", "dollars", "kWh"),
        *("TB read", "TB of features"),
    )
    rows = []
    for photos in PHOTOS:
        for one in backbones():
            if not one.name.startswith(IN_ALL):
                continue
            cost = cost_of(photos, one, given)
            rows.append(
                (
                    f"10^{len(f'{photos:.0f}') - 1}",
                    one.name + (" (waits for its network)" if cost.network_bound else ""),
                    number(cost.core_hours),
                    number(cost.hours(cores)),
                    number(cost.dollars),
                    number(cost.kilowatt_hours),
                    number(cost.terabytes_in),
                    number(cost.terabytes_out),
                )
            )
    return table(head, rows)


def scheduled(given: Assumptions, photos: float = 1e8) -> str:
    """A thousand workers of one core, with tables of so many photos."""
    (backbone,) = (one for one in backbones() if one.name == "efficientnet-lite0-50")
    each = milliseconds(backbone, given) / 1000
    cases = (
        ("nothing happens", Cluster(slow=0, life=float("inf"))),
        ("2 % of the workers are three times slower", Cluster(life=float("inf"))),
        ("and each dies once a day", Cluster()),
        ("and each dies once an hour", Cluster(life=3600.0)),
    )
    rows = []
    for name, cluster in cases:
        for n in ROWS:
            went = simulated(round(photos / n), n * each, cluster)
            assert set(went.done) == {1}
            ideal = round(photos / n) * n * each / cluster.workers
            rows.append(
                (
                    name,
                    f"{n:,}",
                    f"{went.seconds / 60:.0f}",
                    f"{went.seconds / ideal:.2f}",
                    f"{went.deaths:,}",
                    f"{went.lost / went.paid:.1%}",
                )
            )
    return table(("", "photos a table", "minutes", "of the ideal", "deaths", "work lost"), rows)


def page(text: str, tables: dict[str, str]) -> str:
    """The page with these tables."""
    for name, made in tables.items():
        block = f"<!-- {name} -->\n\n{made}\n\n<!-- end -->"
        text, n = re.subn(rf"<!-- {name} -->.*?<!-- end -->", lambda _: block, text, flags=re.S)  # noqa: B023
        assert n == 1, name
    return text


def main() -> int:
    """Write the page, or look whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--print", action="store_true")
    parser.add_argument("--cores", type=int, default=100)
    for field in fields(Assumptions):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default
        )
    args = parser.parse_args()
    given = Assumptions(**{field.name: getattr(args, field.name) for field in fields(Assumptions)})
    tables = {
        "per photo": per_photo(given),
        "in all": in_all(given, args.cores),
        "scheduled": scheduled(given),
    }
    if args.print:
        print("\n\n".join(tables.values()))
        return 0
    before = PAGE.read_text(encoding="utf-8")
    after = page(before, tables)
    if args.check:
        return int(before != after)
    PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
