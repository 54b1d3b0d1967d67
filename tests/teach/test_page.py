"""The page in a browser, against the command itself: what a person does, and a kill in between."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.web.served import Served, browser, drop

pytestmark = pytest.mark.slow

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
WIDTHS = (1280, 390)


@pytest.fixture
def start() -> Iterator[Callable[..., Served]]:
    """Starts servers; none outlives the test."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(Served(*arguments))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


def photos_of(folder: Path, name: str, count: int, seed: int) -> list[Path]:
    """Photos of one colour, with stripes and noise of their own."""
    rng = np.random.default_rng([seed, *name.encode()])
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i in range(count):
        pixels = np.full((120, 160, 3), COLOURS[name], np.float64)
        pixels[:: rng.integers(4, 30)] *= rng.uniform(0.5, 1)
        path = folder / f"{name}{seed}-{i}.jpg"
        noisy = np.clip(pixels + rng.normal(0, 25, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(path, quality=90)
        paths.append(path)
    return paths


def until(page: Any, there: Callable[[], bool], seconds: float = 60) -> None:
    end = monotonic() + seconds
    while not there():
        assert monotonic() < end, page.inner_text("body")
        page.wait_for_timeout(50)


def opened(chromium: Any, address: str, width: int = 1280) -> Any:
    page = chromium.new_page(viewport={"width": width, "height": 900})
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "console",
        lambda said: page.problems.append(said.text) if said.type == "error" else None,
    )
    page.goto(address)
    until(page, lambda: page.inner_text("#counts") != "")
    return page


def counts(page: Any) -> str:
    text: str = page.inner_text("#counts")
    return text


def test_a_classifier_is_taught_from_an_empty_page(
    chromium: Any, start: Callable[..., Served], tmp_path: Path
) -> None:
    run = tmp_path / "colours"
    served = start("teach", str(run))
    page = opened(chromium, served.address)
    for name in COLOURS:
        page.fill("#name", name)
        page.click("#new button")
        drop(page, f"#classes > li:has-text('{name}')", photos_of(tmp_path, name, 6, 0))
    until(page, lambda: counts(page).startswith("18 photos · 3 classes"))
    until(page, lambda: "18 photos" in page.inner_text("#interval"))
    assert page.inner_text("#share").endswith("% right")

    # Without a class: by key, by click, and back.
    drop(page, "#drop", [p for name in COLOURS for p in photos_of(tmp_path, name, 3, 1)])
    until(page, lambda: page.locator("#next li").count() == 9)
    first = page.locator("#next .tile").first
    first.focus()
    page.keyboard.press("2")
    until(page, lambda: "8 without a class" in counts(page))
    assert "labelled green" in page.inner_text("#said")
    assert page.evaluate("() => document.activeElement.classList.contains('tile')")
    page.keyboard.press("u")
    until(page, lambda: "9 without a class" in counts(page))
    page.locator("#next .tile").nth(0).click()
    page.locator("#next .tile").nth(1).click()
    page.click("#bar-classes button:has-text('blue')")
    until(page, lambda: "7 without a class" in counts(page))
    page.locator("#next .tile").first.focus()
    page.keyboard.press("Enter")
    until(page, lambda: "6 without a class" in counts(page))
    page.locator("#next .tile").first.focus()
    page.keyboard.press("Delete")
    until(page, lambda: counts(page).startswith("26 photos"))

    # Rename, join, and undo.
    page.click("#classes li:has-text('red') .edit")
    page.fill("#rename-name", "green")
    page.keyboard.press("Enter")
    until(page, lambda: "· 2 classes" in counts(page))
    page.click("#undo")
    until(page, lambda: "· 3 classes" in counts(page))

    # The camera: Chromium's own test picture is none of the colours.
    page.click("#camera")
    until(page, lambda: page.inner_text("#verdict") != "")
    page.keyboard.press("1")
    until(page, lambda: counts(page).startswith("27 photos"))
    page.click("#camera")

    assert page.problems == []
    state = served.ask("/state")
    served.kill()
    again = start("teach", str(run))
    after = again.ask("/state")
    assert after["photos"] == state["photos"]
    assert after["unlabelled"] == state["unlabelled"]
    assert {c["name"]: c["photos"] for c in after["classes"]} == {
        c["name"]: c["photos"] for c in state["classes"]
    }
    page = opened(chromium, again.address)
    until(page, lambda: page.locator("#photos .tile img").count() > 0)
    until(
        page, lambda: page.locator("#photos .tile img").first.evaluate("(i) => i.naturalWidth > 0")
    )
    with page.expect_download(timeout=300_000) as download:
        page.click("#download")
    download.value.save_as(tmp_path / download.value.suggested_filename)
    assert download.value.suggested_filename == "colours.onnx"
    again.stop()
    photo = photos_of(tmp_path, "blue", 1, 5)[0]
    said = subprocess.run(
        [sys.executable, "-m", "edgetransfer", "predict", tmp_path / "colours.onnx", photo],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split()[1] == "blue"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_breaks_no_rule_of_accessibility(
    chromium: Any, start: Callable[..., Served], tmp_path: Path, width: int
) -> None:
    """axe-core is looked for where ``AXE_CORE`` says; without it the layout alone is tested."""
    served = start("teach", str(tmp_path / "run"))
    for name in COLOURS:
        for path in photos_of(tmp_path, name, 3, 2):
            served.ask(f"/photos?label={name}", path.read_bytes(), "image/jpeg")
    served.ask("/photos", photos_of(tmp_path, "red", 1, 3)[0].read_bytes(), "image/jpeg")
    page = opened(chromium, served.address, width)
    until(page, lambda: page.locator("#next li").count() == 1)
    until(page, lambda: page.locator("#confusion tr").count() == 4)
    page.locator("#next .tile").first.click()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    axe = os.environ.get("AXE_CORE")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        if axe is not None:
            page.evaluate(Path(axe).read_text())
            found = page.evaluate("() => axe.run()")["violations"]
            bad = [v for v in found if v["impact"] in ("serious", "critical")]
            assert bad == []
    served.stop()


def test_a_token_is_asked_for_and_then_the_page_works(
    chromium: Any, start: Callable[..., Served], tmp_path: Path
) -> None:
    served = start("teach", str(tmp_path / "run"), "--token", "sesame")
    page = chromium.new_page()
    page.goto(served.address)
    page.fill("dialog input[type=password]", "sesame")
    page.click("dialog[open] button.main")
    until(page, lambda: page.inner_text("#counts") != "")
    drop(page, "#drop", photos_of(tmp_path, "red", 1, 0))
    until(page, lambda: page.locator("#photos .tile img").count() == 1)
    until(
        page, lambda: page.locator("#photos .tile img").first.evaluate("(i) => i.naturalWidth > 0")
    )
    served.stop()


def test_the_page_of_serve_answers(
    chromium: Any, start: Callable[..., Served], tmp_path: Path, shared_data: Path
) -> None:
    names = ("accordion", "airplanes", "butterfly")
    taught = start("teach", str(tmp_path / "run"))
    for name in names:
        for path in sorted((shared_data / "caltech-101" / "train" / name).iterdir())[:20]:
            taught.ask(f"/photos?label={name}", path.read_bytes(), "image/jpeg")
    # Sixty others, each of them not among those.
    right = 0
    others = [
        (name, path)
        for name in names
        for path in [
            *sorted((shared_data / "caltech-101" / "train" / name).iterdir())[20:30],
            *sorted((shared_data / "caltech-101" / "test" / name).iterdir())[:10],
        ]
    ]
    end = monotonic() + 60
    while len(taught.ask("/guess", others[0][1].read_bytes(), "image/jpeg")["classes"]) < 3:
        assert monotonic() < end  # the head is solved beside the photos that come
    for name, path in others:
        guess = taught.ask("/guess", path.read_bytes(), "image/jpeg")
        right += next(iter(guess["classes"])) == name
    assert right >= 0.95 * len(others)
    taught.stop()
    served = start("serve", str(tmp_path / "run"))
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.goto(served.address)
    drop(page, "#drop", [path for _, path in others[:1]])
    until(page, lambda: "accordion" in page.inner_text("#answers"))
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    served.stop()
