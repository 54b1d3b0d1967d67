"""CSV, TSV and JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetransfer.data import load_data
from edgetransfer.errors import DataError

SUFFIXES = frozenset([".png"])
ROWS = [
    {"path": "x/1.png", "label": "dog", "split": "train"},
    {"path": "x/2.png", "label": "cat", "split": "Training"},
    {"path": "sub folder/ü.png", "label": "cat", "split": "validation"},
    {"path": "3.png", "label": "dog", "split": "test"},
]


def table(separator: str) -> str:
    lines = [separator.join(("path", "label", "split"))]
    return "\n".join(lines + [separator.join(row.values()) for row in ROWS]) + "\n"


CONTENTS = {
    "m.csv": table(","),
    "m.tsv": table("\t"),
    "m.jsonl": "\n".join(json.dumps(row) for row in ROWS) + "\n\n",
    "m.ndjson": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS),
    "M.CSV": table(",").replace("\n", "\r\n"),
    "spaces.csv": table(", "),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_every_form_is_read(name: str, bom: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(bom + CONTENTS[name].encode())
    splits = load_data(path, suffixes=SUFFIXES)
    assert splits.classes == ("cat", "dog")
    assert [(s.id, s.label) for s in splits.train] == [("x/1.png", 1), ("x/2.png", 0)]
    assert [(s.id, s.label) for s in splits.val] == [("sub folder/ü.png", 0)]
    assert [(s.id, s.label) for s in splits.test] == [("3.png", 1)]
    # Paths are relative to the manifest, not to where the program runs.
    assert splits.train[0].source == tmp_path / "x" / "1.png"


def test_without_a_split_everything_is_for_training(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("label,path,note\na,1.png,\nb,2.png,hello\n")
    splits = load_data(path, suffixes=SUFFIXES)
    assert [(s.id, s.label) for s in splits.train] == [("1.png", 0), ("2.png", 1)]


def test_an_absolute_path_stays_absolute(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"path,label\n{tmp_path / 'z.png'},a\n2.png,b\n")
    assert load_data(path, suffixes=SUFFIXES).train[0].source == tmp_path / "z.png"


def test_a_quoted_label_may_hold_a_comma(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text('path,label\n1.png,"fox, red"\n2.png,b\n')
    assert load_data(path, suffixes=SUFFIXES).classes == ("b", "fox, red")


def test_numbers_as_labels_are_names(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"path": "1.png", "label": 0}\n{"path": "2.png", "label": 10}\n')
    assert load_data(path, suffixes=SUFFIXES).classes == ("0", "10")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.csv", "path,class\n1.png,a\n", "label missing"),
        ("m.csv", "file,class\n1.png,a\n", "label and path missing"),
        ("m.csv", "", "label and path missing"),
        ("m.csv", "path,label\n", "no rows"),
        ("m.csv", "path,label\n1.png,a\n2.png,\n", "line 3: needs a path and a label"),
        ("m.csv", "path,label\n1.png\n", "line 2: needs a path and a label"),
        ("m.csv", "path,label,split\n1.png,a,later\n", "line 2: split is train, val or test"),
        ("m.jsonl", '{"path": "1.png", "label": "a"}\n{"path": \n', "line 2"),
        ("m.jsonl", '{"path": "1.png", "label": "a"}\n\n[1]\n', "line 3: not a JSON object"),
        ("m.jsonl", '{"path": "1.png"}\n', "line 1: needs a path and a label"),
        ("m.jsonl", "", "no rows"),
        ("m.csv", b"path,label\n\xff.png,a\n", "not UTF-8"),
        ("m.csv", "path,label,split\n1.png,a,test\n", "no train split"),
        ("m.csv", "path,label\n1.png,a\n", "only one class"),
    ],
)
def test_a_wrong_manifest_is_refused_by_name_and_line(
    name: str, content: str | bytes, says: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        load_data(path, suffixes=SUFFIXES)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert caught.value.exit_code == 3
