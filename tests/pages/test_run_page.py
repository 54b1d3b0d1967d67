"""The page holds what it should, nothing else, and never more than it may."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetransfer.pages import RunPage, run_page
from edgetransfer.pages.album import MOST, MOST_BYTES
from tests.findings.pictures import jpeg
from tests.pages.made import made

VOID = {"meta", "br"}


class Outline(HTMLParser):
    """The elements of a page, with the attributes that decide what it does."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.stack, self.words = [], [], []
        self.feed(page)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        free = {"aria-label", "content"}
        self.elements.append((tag, tuple((n, None if n in free else v) for n, v in attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def page_of(examination, **more):
    return run_page(RunPage(title="run", examination=examination, **more))


NAMES = [f"photo {i}.jpg" for i in range(24)]
HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</title>", "]]>"),
            *("</style><style>*{display:none}", "<!--", "-->", "&lt;b&gt;", "' onload='x"),
            *("\udce4\udcff", "\u202egpj.exe", "a\x00b\x1b[31m", "javascript:alert(1)", "\ufffe"),
            *("</svg></main>", "x" * 5000, "{{7*7}}", "\r\n\r\n", "</script>"),
        ]
    ),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(HOSTILE, min_size=24, max_size=24),
    st.lists(HOSTILE, min_size=3, max_size=3, unique=True),
    HOSTILE,
)
def test_no_name_is_anything_but_text(names, classes, other):
    def page(names, classes, other):
        return run_page(
            RunPage(
                title=other,
                examination=made(names, classes, n_test=9, source=b"gone"),
                facts=[(other, other)],
                stages={other: 1.0},
                command=f"-{other}",
                warnings=[other],
                skipped=[{"id": other, "reason": other}],
            )
        )

    hostile = page(names, classes, other)
    harmless = page(NAMES, ["a", "b", "c"], "d")
    assert Outline(hostile).elements == Outline(harmless).elements
    hostile.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", hostile)


def test_names_are_there():
    page = page_of(made(NAMES, ["ape & cat", "b<c", "dog"], n_test=9), command="train --data 'x'")
    words = "".join(Outline(page).words)
    for word in ("ape & cat", "b<c", "photo 7.jpg", "train --data 'x'", "leave-one-out"):
        assert word in words


def test_it_loads_nothing_and_runs_only_its_own_script():
    page = page_of(made(NAMES, ["a", "b", "c"]))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        (code,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'"
    for _, attributes in Outline(page).elements:
        for name, value in attributes:
            assert not name.startswith("on")
            assert name not in ("src", "style", "srcset", "action")
            if name == "href":
                assert value.startswith(("#", "data:image/jpeg;base64,"))


def test_what_a_cell_opens_is_there():
    page = page_of(made(NAMES, ["a", "b", "c"]))
    elements = Outline(page).elements
    ids = [dict(attributes)["id"] for _, attributes in elements if "id" in dict(attributes)]
    assert len(set(ids)) == len(ids)
    links = [dict(a)["href"] for t, a in elements if t in ("a", "use") and "href" in dict(a)]
    assert any(link.startswith("#c") for link in links)
    assert {link[1:] for link in links} <= set(ids)


def test_it_depends_on_nothing_else():
    page = RunPage(title="run", examination=made(NAMES, ["a", "b", "c"]))
    assert run_page(page) == run_page(page, threads=3)


@pytest.mark.slow
def test_it_stays_small():
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    from PIL import Image

    names = [f"{'long name ' * 30}{i}.jpg" for i in range(20_000)]
    classes = [f"{'long class ' * 20}{i}" for i in range(1500)]
    examination = made(names, classes, n_test=9000, source=jpeg(Image.fromarray(noise), 95))
    page = page_of(examination)
    assert len(page.encode()) < 6_500_000
    assert page.count("data:image/jpeg") <= MOST


@pytest.mark.parametrize("n_classes", [2, 30, 130])
def test_any_number_of_classes(n_classes):
    names = [f"{i}.jpg" for i in range(3 * n_classes)]
    page = page_of(made(names, [f"class {i}" for i in range(n_classes)], pictures=5))
    Outline(page)
    assert len(page.encode()) < 1_500_000 + MOST * MOST_BYTES * 4 // 3


def test_photos_that_are_gone_leave_a_frame():
    page = page_of(made(NAMES, ["a", "b", "c"], source=b"gone"))
    assert "data:image/jpeg" not in page
    assert 'class="photo none"' in page


@pytest.mark.parametrize("n_classes", [2, 30])
def test_landmarks_can_be_told_apart(n_classes):
    names = [f"{i}.jpg" for i in range(3 * n_classes)]
    page = page_of(made(names, [f"class {i}" for i in range(n_classes)], source=b"gone"))
    titles = re.findall(r'<h2 id="[a-z]+">([^<]+)</h2>', page)
    regions = re.findall(r'role="region" aria-label="([^"]+)"', page)
    assert len(titles) == 10
    assert len(regions) >= 3
    assert len({*titles, *regions}) == len(titles) + len(regions)
