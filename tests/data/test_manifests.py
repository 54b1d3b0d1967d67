"""CSV, TSV and JSON Lines."""

from __future__ import annotations

import csv
import io
import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.data import load_data
from edgetransfer.data.manifests import ManifestRow, read_manifest
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


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
def test_a_table_of_a_spreadsheet_has_semicolons(bom: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    text = 'path;label;split\r\n"a;b.jpg";Größe, klein;train\r\nc d.jpg;x;test\r\n'
    path.write_bytes(bom + text.encode())
    rows = read_manifest(path).rows
    assert [(row.path, row.label, row.split) for row in rows] == [
        ("a;b.jpg", "Größe, klein", "train"),
        ("c d.jpg", "x", "test"),
    ]


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
        ("m.csv", b"path,label\n1.png,a\n\xe4.png,a\n", "line 3: not UTF-8"),
        ("m.csv", b"\xff\xfep\0a\0t\0h\0", "line 1: not UTF-8"),
        ("m.csv", "path,label,split\n1.png,a,test\n", "no train split"),
        ("m.csv", "path,label\n1.png,a\nb,c.png,a\n", "line 3: 3 cells, where the first line"),
        ("m.csv", "path,label\n\n\n1.png,a,\n", "line 4: 3 cells"),
        ("m.csv", "path,label,split\n1.png,a,train\n2.png,b\n", "line 3: 2 cells"),
        ("m.tsv", "path\tlabel\n1.png\ta\tb\n", "line 2: 3 cells"),
        ("m.csv", "path|label\n1.png|a\n", "separated by ','"),
        ("m.csv", "path,label,label\n1.png,a,b\n", "the column label twice"),
        ("m.csv", 'path,label\n1.png,a\n"2.png,a\n3.png,b\n', "line 3: "),
        ("m.csv", 'path,label\n1.png,a\n"2".png,a\n3.png,b\n', "line 3: "),
        ("m.csv", 'path,label\n1.png,a\n"2.png,a\n3".png,b\n4.png,b\n', "line 3: "),
        ("m.csv", 'path,label\n1.png,a\n"2.png,a\n3",b\n', "line 3: a quotation mark opens a"),
        ("m.csv", 'path,label\n1.png,"a\nb"\n', "line 2: label 'a\nb' holds"),
        ("m.csv", "path,label\n1.png,a\n2.png,a\n1.png,b\n", "line 4: 1.png is labelled 'b'"),
        ("m.csv", "path,label\n1.png,a\n./x/../1.png,b\n", "'a' in line 2"),
        ("m.csv", "path,label,split\n1.png,a,val\n1.png,a,test\n", "line 3: 1.png is in the"),
        ("m.csv", "path,label,split\n1.png,a,test\n1.png,a,\n", "in test in line 2"),
        ("m.jsonl", '{"path": "1.png", "label": ["a"]}\n', "line 1: label is a string"),
        ("m.jsonl", '{"path": "1.png", "label": true}\n', "line 1: label is a string"),
        ("m.jsonl", '{"path": "1\\u0000.png", "label": "a"}\n', "line 1: no file can be called"),
        ("m.jsonl", '{"path": "\\ud800.png", "label": "a"}\n', "line 1: no file can be called"),
        ("m.jsonl", '{"path": "1.png", "label": "\\ud800"}\n', "line 1: label"),
        ("m.jsonl", "[" * 100_000, "line 1: not valid JSON"),
        ("m.jsonl", "[" * 1_000_001, "line 1: more than 1000000 values"),
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


def test_a_row_that_is_there_again_counts_once_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "m.csv"
    path.write_text("path,label\n1.png,a\n2.png,b\n./1.png,a\n")
    with caplog.at_level("WARNING", "edgetransfer"):
        splits = load_data(path, suffixes=SUFFIXES)
    assert [s.id for s in splits.train] == ["1.png", "2.png"]
    assert "1 rows name a file again, and count once: ./1.png in line 4" in caplog.text


def test_a_note_that_swallowed_rows_is_told_from_one_of_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text('path,label,note\n1.png,a,"two\nlines, here"\n2.png,b,\n')
    assert len(read_manifest(path).rows) == 2
    text = 'path,label,note\n1.png,a,"seen\n2.png,b,\n3.png,b,from"\n'
    path.write_text(text)
    (tmp_path / "2.png").touch()
    with pytest.raises(DataError, match="line 2: a quotation mark opens a cell here that ends in"):
        read_manifest(path)


def test_a_photo_may_have_a_line_break_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "a\nb.png").touch()
    path = tmp_path / "m.csv"
    path.write_text('path,label\n"a\nb.png",x\n2.png,y\n')
    assert [row.path for row in read_manifest(path).rows] == ["a\nb.png", "2.png"]


def test_a_pipe_that_a_manifest_names_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.png")
    path = tmp_path / "m.csv"
    path.write_text("path,label\n1.png,a\n2.png,b\n")
    with pytest.raises(OSError, match="not a file"):
        load_data(path, suffixes=SUFFIXES).train[0].read()


def test_names_that_are_not_utf8_are_escaped_in_json_lines(tmp_path: Path) -> None:
    name = os.fsdecode(b"gr\xfcn.png")
    path = tmp_path / "m.jsonl"
    rows = [{"path": name, "label": "a"}, {"path": "2.png", "label": "b"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load_data(path, suffixes=SUFFIXES).train[0].id == name


UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
WORDS = st.text(st.characters(exclude_categories=tuple(UNSAFE)), min_size=1, max_size=12)
QUOTED = st.text(list(" \",';#\\ab.é"), min_size=1, max_size=8)
CELLS = (WORDS | QUOTED).filter(lambda text: bool(text.strip()) and len(text.encode()) < 200)


@given(
    rows=st.lists(
        st.tuples(CELLS, CELLS, st.text(list("a\",;\n\t'é "), max_size=8)),
        min_size=1,
        max_size=6,
        unique_by=lambda row: os.path.normpath(row[0]),
    ),
    dialect=st.sampled_from(["excel", "unix"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    ending=st.sampled_from(["csv", "tsv"]),
)
def test_what_the_csv_module_writes_is_read_as_it_reads_it(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    dialect: str,
    quoting: int,
    ending: str,
) -> None:
    text = io.StringIO(newline="")
    delimiter = "\t" if ending == "tsv" else ","
    csv.writer(text, dialect, delimiter=delimiter, quoting=quoting).writerows(
        [("path", "label", "note"), *rows]
    )
    truth = list(csv.reader(io.StringIO(text.getvalue(), newline=""), delimiter=delimiter))[1:]
    path = tmp_path_factory.getbasetemp() / f"hostile.{ending}"
    path.write_bytes(text.getvalue().encode())
    assert [(row.path, row.label) for row in read_manifest(path).rows] == [
        (file, unicodedata.normalize("NFC", label)) for file, label, _ in truth
    ]


@given(st.binary(max_size=120), st.sampled_from(["csv", "tsv", "jsonl"]))
def test_no_bytes_are_more_than_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, ending: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"bytes.{ending}"
    path.write_bytes(b"path,label\n" * (ending == "csv") + data)
    refusal = ""
    rows: tuple[ManifestRow, ...] = ()
    try:
        rows = read_manifest(path).rows
    except DataError as error:
        refusal = str(error)
    assert bool(rows) != (str(path) in refusal)
    assert all(row.path and row.label for row in rows)
