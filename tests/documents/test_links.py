"""Links between the project's documents lead somewhere, and commands in them can be read."""

from __future__ import annotations

import re
import runpy
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.documents.fences import blocks, calls, prose
from tests.documents.programs import program

DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "benchmarks/**/*.md",
        "examples/*.md",
        "models/**/*.md",
        "edgetransfer/**/*.md",
    )
    for path in REPOSITORY.glob(pattern)
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
MOST_LINES = 130  # of the README

commands = program("commands")


@cache
def by_name() -> dict[str, Any]:
    """The commands, by what is typed behind ``edgetransfer``."""
    return {page.name: page.command for page in commands.pages()}


def _anchors(path: Path) -> set[str]:
    """GitHub's anchors of a document's headings."""
    text = prose(path.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(prose(path.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), f"{path.name} links to {target}"
        assert there.is_relative_to(REPOSITORY), target
        if anchor:
            assert anchor in _anchors(there), f"{path.name} links to {target}"


def test_a_link_that_leads_nowhere_would_be_seen(tmp_path: Path) -> None:
    assert LINK.findall("[a](b.md) ![p](c.png) [d](e.md#f)") == ["b.md", "e.md#f"]
    page = tmp_path / "page.md"
    page.write_text("# Learn from a stream\n```\n# no heading\n```\n## `train`, twice\n")
    assert _anchors(page) == {"learn-from-a-stream", "train-twice"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_headings_go_down_one_at_a_time(path: Path) -> None:
    """`make docs` fails on others, and a contents page would have a hole."""
    levels = [len(marks) for marks in re.findall(r"^(#+) ", prose(path.read_text()), re.M)]
    assert levels[:1] == [1]
    for before, after in pairwise(levels):
        assert after <= before + 1, path.name


def test_what_the_site_links_to_is_in_the_site() -> None:
    """`make docs` fails on a document that is left out."""
    settings = runpy.run_path(str(REPOSITORY / "docs" / "conf.py"))
    more = settings["MORE"]
    assert "README" in more
    pages = {REPOSITORY / f"{name}.md" for name in more} | set((REPOSITORY / "docs").glob("*.md"))
    for page in pages:
        for target in LINK.findall(prose(page.read_text("utf-8"))):
            there = (page.parent / target.partition("#")[0]).resolve()
            assert there.suffix != ".md" or there in pages or there == page, f"{page}: {target}"


def test_every_page_of_the_documents_is_reached_from_their_index() -> None:
    index = (REPOSITORY / "docs" / "index.md").read_text("utf-8")
    site = (REPOSITORY / "docs" / "conf.py").read_text("utf-8")  # its table of contents
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index, page.name
        assert page.name == "index.md" or f'"{page.stem}"' in site, page.name


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text("utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_commands_in_documents_can_be_read(path: Path) -> None:
    """Each ``edgetransfer …`` of a code block has options and choices that there are."""
    for call in calls(path.read_text("utf-8")):
        words = commands.arguments_of(call)
        if words[:1] == ["--help"] or words[:1] == ["COMMAND"]:
            continue
        name = " ".join(words[:2]) if " ".join(words[:2]) in by_name() else words[0]
        assert name in by_name(), f"{path.name}: {call}"
        with by_name()[name].make_context(name, words[len(name.split()) :]):
            pass


def test_no_block_hides_the_calls_behind_it() -> None:
    """Whatever languages blocks before a call have, and whatever a shell does around it."""
    call = "edgetransfer train --data photos"
    for language in ("", "python", "sql photos.sql", "text", "console"):
        page = (
            f"A\n```{language}\nb\n```\nC\n```\n$ {call} > log.txt 2>&1 &\n```\n"
            f"- D\n  ```sh\n  {call}\n  ```\n"
        )
        assert calls(page) == [call, call]
        assert prose(page).split() == ["A", "C", "-", "D"]
        assert [block.language for block in blocks(page)] == [language.split(" ")[0], "", "sh"]
