"""The picture of a stream's accuracy."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

from edgetransfer.charts.stream_curve import stream_curve
from edgetransfer.stream.keeping.metrics_log import read_curve


def test_the_curve_is_an_svg_file_of_its_own() -> None:
    curve = [
        {"learned": 100 * i, "prequential": 0.5 + i / 20, "window": 0.6 + i / 30}
        for i in range(1, 9)
    ]
    picture = ET.fromstring(stream_curve(curve))
    space = "{http://www.w3.org/2000/svg}"
    assert picture.tag == f"{space}svg"
    titles = [title.text for title in picture.iter(f"{space}title")]
    assert titles == ["the last samples", "all so far"]
    lines = [
        path for path in picture.iter(f"{space}path") if path.find(f"{space}title") is not None
    ]
    assert all(path.get("d", "").count("L") == 7 for path in lines)


def test_one_point_is_enough() -> None:
    ET.fromstring(stream_curve([{"learned": 8, "prequential": 1.0, "window": 1.0}]))


def test_a_long_stream_gives_few_points(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    lines = [
        {"batches": i, "learned": i, "prequential": {"top1": i / 1000}, "window": {"top1": 1.0}}
        for i in range(1000)
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    curve = read_curve(log, points=50)
    assert 50 <= len(curve) < 100
    gaps = {b["learned"] - a["learned"] for a, b in pairwise(curve)}
    assert len(gaps) == 1
    assert curve[3] == {
        "learned": curve[3]["learned"],
        "prequential": curve[3]["learned"] / 1000,
        "window": 1.0,
    }
    assert read_curve(tmp_path / "none.jsonl") == []
