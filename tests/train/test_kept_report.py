"""Reports of before are read by every later version: a key that is new may be missing.

The golden ones are of 28 November 2026, as ``train --data photos`` and ``finetune --data photos``
wrote them of 48 photos, with their long lists cut to two; they are never written anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.api.reports import TrainingReport
from edgetransfer.errors import RunFolderError
from edgetransfer.runs import RunFolder
from edgetransfer.train.kept_report import LATER, kept_report

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


def kept(folder: Path, report: dict[str, Any]) -> Any:
    (folder / "report.json").write_text(json.dumps(report))
    return kept_report(RunFolder(folder))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_a_report_of_before_is_read(golden: Path, tmp_path: Path) -> None:
    """Where this fails a key was added: name it in `LATER`, and look for who reads it."""
    report = json.loads(golden.read_text())
    assert kept(tmp_path, report) == report
    first = {name: value for name, value in report.items() if name not in LATER}
    assert kept(tmp_path, first) == first
    assert TrainingReport(first).top1 == report["final"]["top1"]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_one_that_lacks_what_there_always_was_is_not(golden: Path, tmp_path: Path) -> None:
    report = json.loads(golden.read_text())
    for name in ("backbone", "n_train", "final", "epochs"):
        with pytest.raises(RunFolderError, match=rf"report\.json: damaged.*{name}"):
            kept(tmp_path, {key: value for key, value in report.items() if key != name})


def test_both_kinds_are_there() -> None:
    assert [path.stem for path in GOLDEN] == ["finetune", "train"]
