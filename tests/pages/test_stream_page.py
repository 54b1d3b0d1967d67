"""A stream's page: its numbers, and no name that is more than text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.pages import StreamPage, stream_page
from tests.pages.test_run_page import HOSTILE, Outline


def page_of(classes, title="run"):
    score = {"top1": 0.75, "mean_per_class": None}
    report = {
        "prequential": score,
        "window": score,
        "fading": score,
        "learned": 12,
        "accepted": 20,
        "drift": {"alarms": 1},
        "class_counts": dict.fromkeys(classes, 4),
    }
    curve = [{"learned": n, "prequential": 0.5, "window": n / 20} for n in (4, 8, 12)]
    cells = [(0, 0, 6), (0, 1, 2), (1, 1, 3), (2, 0, 1)]
    return stream_page(
        StreamPage(
            title=title, classes=classes, report=report, scored=[8, 3, 1], cells=cells, curve=curve
        )
    )


def test_numbers_are_those_of_the_cells():
    words = " ".join("".join(Outline(page_of(["ape", "bee", "cat"])).words).split())
    assert "75.0 %" in words
    assert "12 samples" in words
    assert "ape4875.0 %" in words  # learned, scored, right
    assert "cat410.0 %" in words
    assert "apebee2" in words


@settings(max_examples=25, deadline=None)
@given(st.lists(HOSTILE, min_size=3, max_size=3, unique=True), HOSTILE)
def test_no_name_is_anything_but_text(classes, title):
    assert Outline(page_of(classes, title)).elements == Outline(page_of(["a", "b", "c"])).elements
    page_of(classes, title).encode()


def test_a_stream_that_learned_nothing_has_a_page():
    score = {"top1": None, "mean_per_class": None}
    report = {
        "prequential": score,
        "window": score,
        "fading": score,
        "learned": 0,
        "accepted": 0,
        "drift": {"alarms": 0},
        "class_counts": {},
    }
    page = stream_page(StreamPage(title="run", classes=[], report=report, scored=[], cells=[]))
    assert "not known" in page
    Outline(page)
