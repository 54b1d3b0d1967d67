"""What a class may be called, from every source."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.data import checked_label, load_data
from edgetransfer.data.labels import LONGEST_LABEL, easily_confused
from edgetransfer.data.streams import Arrival, FolderSource, TarSource, read_fields
from edgetransfer.errors import DataError

SUFFIXES = frozenset([".png"])
REFUSED = {"Cc", "Cs", "Zl", "Zp"}  # controls, no Unicode, line and paragraph separators


def one_of_each_category() -> dict[str, str]:
    found: dict[str, str] = {}
    for code in range(sys.maxunicode + 1):
        found.setdefault(unicodedata.category(chr(code)), chr(code))
    return found


@pytest.mark.parametrize(("category", "letter"), sorted(one_of_each_category().items()))
def test_every_category_of_unicode(category: str, letter: str) -> None:
    if category in REFUSED:
        with pytest.raises(DataError, match="holds"):
            checked_label(f"a{letter}b")
    else:
        label = checked_label(f"a{letter}b")
        assert label == unicodedata.normalize("NFC", f"a{letter}b")
        assert json.loads(json.dumps(label).encode()) == label
        assert len(f"{label}\n".splitlines()) == 1


@given(st.text(max_size=300))
def test_what_is_taken_is_one_line_of_utf8_and_stays(text: str) -> None:
    try:
        label = checked_label(text)
    except DataError:
        letters = {unicodedata.category(letter) for letter in text}
        assert letters & REFUSED or not text.strip() or len(text) > LONGEST_LABEL
        return
    assert label.encode().decode() == label
    assert label.splitlines() == [label]
    assert checked_label(label) == label
    assert checked_label(unicodedata.normalize("NFD", label)) == label or len(text) < len(
        unicodedata.normalize("NFD", label)
    )


HOSTILE = {
    "line break": "a\nb",
    "carriage return": "a\rb",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "escape": "\x1b[31mred",
    "latin-1": "r\udcf6t",
    "too long": "x" * (LONGEST_LABEL + 1),
    "blank": "  ",
}


def from_csv(label: str, folder: Path) -> None:
    text = f'path,label\n1.png,"{label}"\n2.png,other\n'
    (folder / "m.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    load_data(folder / "m.csv", suffixes=SUFFIXES)


def from_json_lines(label: str, folder: Path) -> None:
    lines = [{"path": "1.png", "label": label}, {"path": "2.png", "label": "other"}]
    (folder / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    load_data(folder / "m.jsonl", suffixes=SUFFIXES)


def from_folders(label: str, folder: Path) -> None:
    for name in (label, "other"):
        (folder / name).mkdir()
        (folder / name / "1.png").touch()
    load_data(folder, suffixes=SUFFIXES)


def from_a_client(label: str, _folder: Path) -> None:
    read_fields({"path": "1.png", "label": label}, files=True)


def _refused(arrivals: list[Arrival]) -> None:
    (problem,) = [a.problem for a in arrivals if a.id.endswith(("1.png", "/1"))]
    if problem is not None:
        raise DataError(problem)


class Nothing:
    """A ledger of a run that knows no sample."""

    def known(self, sample_id: str) -> bool:
        return False

    open_for_label = known


def from_a_watched_folder(label: str, folder: Path) -> None:
    (folder / label).mkdir()
    (folder / label / "1.png").write_bytes(b"1")
    os.utime(folder / label / "1.png", (1e9, 1e9))
    source = FolderSource(folder, suffixes=SUFFIXES, once=True)
    _refused(list(source.arrivals(threading.Event(), Nothing())))


def from_a_shard(label: str, folder: Path) -> None:
    with tarfile.open(folder / "a.tar", "w") as archive:
        for name, data in (("1.png", b"1"), ("1.cls", label.encode("utf-8", "surrogateescape"))):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    source = TarSource(str(folder / "a.tar"), suffixes=SUFFIXES)
    _refused(list(source.arrivals(threading.Event(), Nothing())))


SOURCES: list[Callable[[str, Path], None]] = [
    *(from_csv, from_json_lines, from_folders, from_a_client, from_a_watched_folder, from_a_shard)
]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", HOSTILE)
def test_every_source_refuses_what_no_class_can_be_called(
    kind: str, source: Callable[[str, Path], None], tmp_path: Path
) -> None:
    if source is from_a_shard and kind == "blank":
        pytest.skip("an empty .cls file means that there is no label")
    if kind == "too long" and source in (from_folders, from_a_watched_folder):
        pytest.skip("no folder can be called so")
    with pytest.raises(DataError):
        source(HOSTILE[kind], tmp_path)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("label", ["épinard", "猫", "a b", "fox, red", "👩‍🌾", "it's", "%s \\n"])
def test_every_source_takes_words_of_all_kinds(
    label: str, source: Callable[[str, Path], None], tmp_path: Path
) -> None:
    source(label, tmp_path)


def test_labels_that_look_alike_are_grouped() -> None:
    labels = ["Cat", "cat", "c at", "ca\u200bt", "cats", "STRASSE", "straße", "dog", "dog"]
    assert easily_confused(labels) == [
        ("Cat", "c at", "cat", "ca\u200bt"),
        ("STRASSE", "straße"),
    ]


@pytest.mark.parametrize("a", ["Cat", "cat "])
def test_classes_that_look_alike_are_remarked_on(
    a: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, n in ((a, 2), ("cat", 3), ("dog", 1)):
        for i in range(n):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"{i}.png").touch()
    with caplog.at_level("WARNING", "edgetransfer"):
        splits = load_data(tmp_path, suffixes=SUFFIXES)
    assert len(splits.classes) == 3
    assert f"{a!r} (2 photos)" in caplog.text
    assert "'cat' (3 photos)" in caplog.text


def test_one_class_in_two_unicode_forms_is_one(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "épinard") for form in ("NFC", "NFD")]
    for i, name in enumerate((*names, "other")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{i}.png").touch()
    splits = load_data(tmp_path, suffixes=SUFFIXES)
    assert splits.classes == ("other", names[0])
    assert sorted(s.label for s in splits.train) == [0, 1, 1]
