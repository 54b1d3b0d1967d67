"""Corrections leave no trace: what is relabelled or forgotten is as if it had always been so."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.errors import UsageError
from edgetransfer.stream import (
    check,
    forget,
    rollback,
    run_stream,
)
from tests.stream.stream_pictures import (
    fake_feature_source,
    final_state,
    label_of,
    picture,
    settings_for,
)
from tests.stream.test_statistics_learner import blob, by_name, learned, opened


def test_relabelled_is_as_if_it_had_always_been_so(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run")
    durable.accept([blob(i, views=2) for i in range(40)])
    receipts = durable.relabel(["s3", "s4", "never", "s7"], "class 1")
    assert [r.status for r in receipts] == ["relabelled", "duplicate", "unknown", "duplicate"]
    assert [r.status for r in durable.relabel(["s3", "s3"], "new")] == ["relabelled", "duplicate"]
    durable.save()
    assert [r.status for r in durable.relabel(["s3"], "class 2")] == ["relabelled"]
    never = learned([blob(i, views=2, label="class 2" if i == 3 else None) for i in range(40)])
    there = by_name(durable.learner)  # type: ignore[arg-type]
    assert there.pop("classes") == ["class 0", "class 1", "class 2", "new"]  # it was born
    for name in ("by_class", "counts", "sums"):
        there.pop(name)
    assert there.items() <= by_name(never).items()
    durable.close()


def test_a_sample_without_a_label_is_labelled_by_a_correction(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run")
    durable.accept([replace(blob(0), label=None)])
    assert durable.relabel(["s0"], "a")[0].status == "labelled"
    assert durable.relabel(["s0"], "b")[0].status == "relabelled"
    assert durable.learner.class_counts == {"a": 0, "b": 1}
    durable.close()


@pytest.mark.parametrize("running", [True, False])
def test_forgotten_is_as_if_it_had_never_been(tmp_path: Path, running: bool) -> None:
    run = tmp_path / "run"
    durable = opened(run)
    durable.accept([blob(i) for i in range(40)])
    durable.save()
    durable.accept([blob(i) for i in range(40, 60)])
    durable.accept([replace(blob(90), label=None)])
    durable.relabel(["s5"], "class 0")
    gone = ["s5", "s17", "s44", "s90"]
    if running:
        assert {r.status for r in durable.forget(gone)} == {"forgotten"}
        assert {r.status for r in durable.forget(gone)} == {"rejected"}
        assert durable.forget(["never"])[0].status == "unknown"
        durable.accept([blob(60)])
    durable.save()
    durable.close()
    if not running:
        assert forget(run, ids=frozenset(gone), classes=frozenset())["removed"] == 4
        assert forget(run, ids=frozenset(gone), classes=frozenset())["removed"] == 0
        durable = opened(run)
        durable.accept([blob(60)])
        durable.save()
        durable.close()
    rows = [blob(int(name[1:])).rows for name in gone]
    for path in run.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for name, row in zip(gone, rows, strict=True):
            assert row is not None
            assert row.tobytes() not in content
            assert f'"{name}"'.encode() not in content
    assert check(run).findings == ()
    durable = opened(run)
    never = learned([blob(i) for i in range(61) if f"s{i}" not in gone])
    assert by_name(durable.learner) == by_name(never)  # type: ignore[arg-type]
    assert durable.accept([blob(17)])[0].status == "duplicate"
    assert durable.relabel(["s1"], "other")[0].status == "relabelled"  # its features were kept
    durable.close()


def test_a_class_is_forgotten_exactly(tmp_path: Path) -> None:
    run = tmp_path / "run"
    durable = opened(run)
    durable.accept([blob(i) for i in range(60)])
    durable.relabel(["s1"], "class 0")  # class 1 has one less
    durable.close()
    assert forget(run, ids=frozenset(), classes=frozenset({"class 1"}))["removed"] == 19
    durable = opened(run)
    offers = [blob(i, label="class 0" if i == 1 else None) for i in range(60)]
    never = learned([o for o in offers if o.label != "class 1"])
    assert by_name(durable.learner) == by_name(never)  # type: ignore[arg-type]
    durable.close()
    assert check(run).findings == ()


def test_what_the_journal_has_no_more_is_refused_by_name(tmp_path: Path) -> None:
    run = tmp_path / "run"
    durable = opened(run, journal_bytes=2**16)
    for i in range(0, 1200, 200):
        durable.accept([blob(k) for k in range(i, i + 200)])
        durable.save()
    for receipt in (*durable.relabel(["s0"], "new"), *durable.forget(["s0"])):
        assert receipt.status == "rejected"
        assert "--journal-bytes" in str(receipt.reason)
    assert durable.forget(["s1190"])[0].status == "forgotten"
    durable.close()
    with pytest.raises(UsageError, match="s0 away again"):
        forget(run, ids=frozenset({"s0"}), classes=frozenset())
    with pytest.raises(UsageError, match="samples of class 'class 0'"):
        forget(run, ids=frozenset(), classes=frozenset({"class 0"}))


def test_back_to_before_a_correction(tmp_path: Path) -> None:
    run = tmp_path / "run"
    durable = opened(run)
    durable.accept([blob(i) for i in range(20)])
    durable.save()
    expected = final_state(run)["arrays"]
    durable.relabel(["s1"], "wrong")
    durable.accept([blob(i) for i in range(20, 30)])
    durable.close()
    assert rollback(run, "20").accepted == 20
    assert rollback(run, "19").accepted == 19
    durable = opened(run)
    durable.accept([blob(19)])
    durable.save()
    durable.close()
    there = final_state(run)["arrays"]
    assert there["statistics.gram"] == expected["statistics.gram"]
    assert there["statistics.sums"] == expected["statistics.sums"]


def test_a_learner_by_steps_has_no_corrections(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run", {"learner": "replay"})
    durable.accept([blob(0)])
    for correct in (lambda: durable.forget(["s0"]), lambda: durable.relabel(["s0"], "a")):
        with pytest.raises(UsageError, match="--learner statistics"):
            correct()
    durable.close()


def test_corrections_come_with_the_stream(tmp_path: Path) -> None:
    """In the order of the lines, those of the same group too."""
    lines = [
        *({"id": f"n{i}", "base64": coded(i), "label": label_of(i)} for i in range(24)),
        {"id": "n3", "label": "red", "relabel": True},
        {"id": "n4", "forget": True},
        {"id": "n30", "base64": coded(30), "label": "green"},
        {"id": "n30", "forget": "true"},
        {"id": "never", "forget": True},
        {"id": "n5", "label": "red", "relabel": "perhaps"},
        {"id": "n5", "label": "red", "forget": True},
        {"id": "n5", "base64": coded(5), "relabel": True},
        {"id": "n5", "label": "red", "relabel": True, "forget": True},
    ]
    source = tmp_path / "lines.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for learner in ("statistics", "replay"):
        answers: list[dict[str, Any]] = []
        run = tmp_path / learner
        settings = settings_for(f"jsonl:{source}", run, learning={"learner": learner})
        run_stream(settings, feature_source=fake_feature_source(), acknowledge=answers.append)  # type: ignore[arg-type]
        said = {(a["id"], a["status"]) for a in answers}
        done = {("n3", "relabelled"), ("n4", "forgotten"), ("n30", "forgotten")}
        assert done <= said if learner == "statistics" else not done & said
        assert ("n3", "rejected") in said or learner == "statistics"
        assert sum(a["status"] == "rejected" for a in answers if a["id"].startswith("line")) == 4
    report = json.loads((tmp_path / "statistics" / "report.json").read_text())
    assert report["class_counts"] == {"red": 6, "green": 6, "blue": 6, "dark": 5}
    assert (report["relabelled"], report["forgotten"]) == (1, 2)


def coded(i: int) -> str:
    return base64.b64encode(picture(i)).decode()
