"""A figure that several pages name is the same on each of them: that of the table in docs/."""

from __future__ import annotations

import re
import tomllib

import pytest

from edgetransfer.backbones.catalogue import RECORDS, bundled
from edgetransfer.settings.shared import DEFAULT_BACKBONE
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "backbones.md").read_text("utf-8")
COLUMNS = ("backbone", "input", "non-zeros", "caltech-101", "digits", "top-1", "images/s")


def measured(page: str = PAGE) -> dict[str, dict[str, str]]:
    """The rows of the table, by backbone."""
    _, table, _ = re.split(r"<!-- (?:table|end).*?-->", page)
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    rows = [row for row in rows if len(row) > len(COLUMNS) - 1]
    assert tuple(rows[0][: len(COLUMNS)]) == COLUMNS
    return {row[0]: dict(zip(COLUMNS, row, strict=False)) for row in rows[2:]}


def named(text: str) -> list[tuple[str, str]]:
    """Backbones, each with the accuracy that a sentence says of it."""
    joined = " ".join(text.split())
    return re.findall(r"`?([a-z][\w-]+-[\w-]+)`?,? (?:has )?(\d\d\.\d)\b", joined)


@pytest.mark.parametrize("name", bundled())
def test_cards_and_their_pages_say_what_the_table_says(name: str) -> None:
    row = measured()[name]
    folder = REPOSITORY / "models" / name
    card = tomllib.loads((folder / f"{name}.toml").read_text("utf-8"))
    readme = (folder / "README.md").read_text("utf-8")
    for key, column in (("transfer", "caltech-101"), ("top1_photo_a_class", "top-1")):
        if row[column]:
            assert f"{card[key]:.1%}" == f"{row[column]}%", f"{name}: {key}"
        else:
            assert key not in card
    own = re.search(r"^\| Caltech-101 .*\| (\d\d\.\d) % mean per class", readme, re.M)
    assert own is None or own[1] == row["caltech-101"]
    assert card["size"] == int(row["input"])
    some, all_of_them = (float(n) for n in re.findall(r"\d+\.\d+", row["non-zeros"]))
    assert card["sparsity"] == pytest.approx(1 - some / all_of_them, abs=0.005)


def test_so_do_the_records_of_those_that_can_be_had() -> None:
    table = measured()
    known = [record for record in RECORDS if record.name in table]
    assert len(known) >= 3
    for record in known:
        for value, column in (
            (record.transfer, "caltech-101"),
            (record.top1_photo_a_class, "top-1"),
        ):
            found = table[record.name][column]
            assert (f"{value:.1%}" if value else "") == (f"{found}%" if found else ""), record.name


def test_so_does_the_readme() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    row = measured()[DEFAULT_BACKBONE]
    assert f"{row['caltech-101']}% mean per class (1106 images)" in text
    card = REPOSITORY / "models" / DEFAULT_BACKBONE / f"{DEFAULT_BACKBONE}.toml"
    sparsity = tomllib.loads(card.read_text("utf-8"))["sparsity"]
    assert f"{DEFAULT_BACKBONE}, {sparsity:.1%} of its weights zero" in text


def test_so_does_what_train_is_said_to_reach() -> None:
    text = (REPOSITORY / "docs" / "train.md").read_text("utf-8")
    start, end = text.index("Mean per-class accuracy on"), text.index("Measured on")
    said = named(text[start:end])
    assert DEFAULT_BACKBONE in dict(said)
    for name, accuracy in said:
        assert measured()[name]["caltech-101"] == accuracy, name


def test_what_differs_would_be_seen() -> None:
    assert named("A-b 1, tiny-90 66.6 (64.0),\n`lite0-50`, has 91.3") == [
        ("tiny-90", "66.6"),
        ("lite0-50", "91.3"),
    ]
    worse = measured(PAGE.replace("| 91.5 |", "| 91.4 |"))
    assert worse[DEFAULT_BACKBONE]["caltech-101"] == "91.4"
