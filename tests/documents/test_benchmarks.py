"""The list of benchmarks has all of them, and a star where ``make bench`` runs one."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "benchmarks"


def test_the_list_is_that_of_the_folder_and_of_make() -> None:
    listed = dict(
        re.findall(r"^\| `(\w+\.py)`( \*)? \|", (FOLDER / "README.md").read_text("utf-8"), re.M)
    )
    assert set(listed) == {
        p.name for p in FOLDER.glob("*.py") if "__main__" in p.read_text("utf-8")
    }
    made = re.findall(r"benchmarks/(\w+\.py)", (REPOSITORY / "Makefile").read_text("utf-8"))
    assert {name for name, star in listed.items() if star} == set(made)
