"""The picture of a stream's accuracy."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from edgetransfer.charts.stream_curve import stream_curve
from edgetransfer.stream import run_stream
from edgetransfer.stream.keeping.metrics_log import read_curve
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for


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
        "time": None,
        "drifts": 0,
        "refits": 0,
    }
    assert read_curve(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize(
    ("seconds", "unit"), [(0.1, "seconds"), (60, "minutes"), (3600, "hours"), (86400 * 3, "days")]
)
def test_time_is_the_axis_with_what_happened_marked(seconds: float, unit: str) -> None:
    curve = [
        {
            "learned": 10 * i,
            "prequential": 0.5,
            "window": 0.6,
            "time": 1.7e9 + i * seconds,
            "drifts": i // 5,
            "refits": i // 4,
        }
        for i in range(1, 12)
    ]
    space = "{http://www.w3.org/2000/svg}"
    picture = ET.fromstring(stream_curve(curve))
    titles = [title.text for title in picture.iter(f"{space}title")]
    assert titles[:4] == [
        "drift by sample 50",
        "drift by sample 100",
        "refit by sample 40",
        "refit by sample 80",
    ]
    texts = [str(text.text) for text in picture.iter(f"{space}text")]
    assert any(text.startswith(f"{unit} since its first point") for text in texts)
    # A clock that was set back leaves the samples for an axis.
    curve[5]["time"] = 0.0
    texts = [str(t.text) for t in ET.fromstring(stream_curve(curve)).iter(f"{space}text")]
    assert "samples learned" in texts


def test_a_curve_begins_with_the_first_samples(tmp_path: Path) -> None:
    for i in range(12):
        (tmp_path / "in" / label_of(i)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / label_of(i) / f"{i}.png").write_bytes(picture(i))
    settings = settings_for(
        f"folder:{tmp_path / 'in'}",
        tmp_path / "run",
        once=True,
        learning={"learner": "statistics"},
    )
    report = run_stream(settings, feature_source=fake_feature_source())
    assert report["curve"][-1]["learned"] == 12
    assert report["curve"][-1]["prequential"] == report["prequential"]["top1"]
    assert (tmp_path / "run" / "curve.svg").is_file()
