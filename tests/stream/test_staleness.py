"""What an earlier version wrote is right as far as it goes; what is wrong is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgetransfer.heads import LinearHead
from edgetransfer.stream import check
from edgetransfer.stream.keeping.staleness import earlier_report
from tests.stream.test_statistics_learner import blob, opened


@pytest.fixture
def run(tmp_path: Path) -> Path:
    durable = opened(tmp_path / "run")
    durable.accept([blob(i) for i in range(30)])
    durable.save()
    durable.close()
    assert check(tmp_path / "run").findings == ()
    return tmp_path / "run"


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a JSON value that has a name, and whose it is."""
    for key in list(value) if isinstance(value, dict) else []:
        yield value, key
        yield from places(value[key])


def wrong(run: Path) -> list[str]:
    return [Path(finding.partition(":")[0]).name for finding in check(run).findings]


def test_a_report_may_lack_what_later_versions_say_and_nothing_else(run: Path) -> None:
    path = run / "report.json"
    whole = path.read_text()
    count = sum(1 for _ in places(json.loads(whole)))
    assert count > 20
    for n in range(count):
        for replaced in (False, True):
            report = json.loads(whole)
            owner, key = list(places(report))[n]
            if replaced:
                owner[key] = "other"
            else:
                del owner[key]
            path.write_text(json.dumps(report))
            assert earlier_report(path, whole.encode()) != replaced, key
    assert wrong(run) == ["report.json"]
    del owner[key]
    path.write_text(json.dumps(report))
    assert wrong(run) == []
    for text in (whole[:-9], "[]", whole.replace(" ", ""), ""):
        path.write_text(text)
        assert wrong(run) == ["report.json"]


@pytest.mark.parametrize("changed", ["nothing", "weights", "classes", "backbone", "format"])
def test_a_head_may_be_of_an_earlier_format_and_nothing_else(run: Path, changed: str) -> None:
    path = run / "head.safetensors"
    head = LinearHead.load(path)
    tensors = {"weights": head.weights.copy(), "bias": head.bias}
    said = {k: head.metadata[k] for k in ("backbone", "classes", "feature_map")}
    said["format"] = "edgetransfer-head-2"
    if changed == "weights":
        tensors["weights"][0, 0] = np.nextafter(tensors["weights"][0, 0], np.float32(9))
    elif changed == "classes":
        said["classes"] = json.dumps(head.classes[::-1])
    elif changed != "nothing":
        said[changed] = "another"
    save_file(tensors, path, said)
    assert set(wrong(run)) == (set() if changed == "nothing" else {"head.safetensors"})
