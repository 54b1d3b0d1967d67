"""kill -9 while photos come, are labelled, renamed and forgotten: what was answered is there."""

from __future__ import annotations

import contextlib
import threading
import urllib.error
from http.client import HTTPException
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest

from tests.serve.test_predict import form
from tests.stream.stream_pictures import picture
from tests.web.served import Served

pytestmark = pytest.mark.slow

ROUNDS = 4


class Person:
    """Does one thing after the other, and remembers what was answered."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.labels: dict[str, str | None] = {}
        self.unsure: set[str] = set()  # asked for when the kill came
        self.forgotten: set[str] = set()
        self.next = 1000 * seed

    def live(self, served: Served, seconds: float) -> None:
        killer = threading.Timer(seconds, served.kill)
        killer.start()
        with contextlib.suppress(OSError, HTTPException, urllib.error.URLError):
            while True:
                self.step(served)
        killer.join()

    def step(self, served: Served) -> None:
        kind = self.rng.integers(5) if len(self.labels) > 8 else 0
        known = sorted(self.labels)
        if kind < 2:
            label = [None, "a", "b"][self.rng.integers(3)]
            photos = [(f"{i}.png", picture(self.next + i)) for i in range(4)]
            self.next += 4
            body, form_kind = form(*photos)
            query = "" if label is None else f"?label={label}"
            for photo in served.ask(f"/photos{query}", body, form_kind)["photos"]:
                assert photo["status"] == "accepted"
                self.labels[photo["id"]] = label
            return
        some = [known[i] for i in self.rng.integers(0, len(known), 2)]
        self.unsure = set(some)
        if kind == 2:
            served.post("/label", {"ids": some, "label": "c"})
            self.labels |= dict.fromkeys(some, "c")
        elif kind == 3:
            served.post("/forget", {"ids": some[:1]})
            del self.labels[some[0]]
            self.forgotten.add(some[0])
        else:
            self.unsure = {i for i, label in self.labels.items() if label == "c"}
            if self.unsure:
                served.post("/rename", {"class": "c", "name": "d"})
                self.labels |= dict.fromkeys(self.unsure, "d")
        self.unsure = set()


def listed(served: Served) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    names = [c["name"] for c in served.ask("/state")["classes"]]
    for label in (None, *names):
        first, total = 0, 1
        while first < total:
            query = f"from={first}" if label is None else f"from={first}&label={label}"
            page: dict[str, Any] = served.ask(f"/photos?{query}")
            found |= {photo["id"]: label for photo in page["photos"]}
            first, total = first + 60, page["total"]
    return found


def test_what_was_answered_survives_kills(tmp_path: Path) -> None:
    person = Person(1)
    for round_ in range(ROUNDS):
        with Served("teach", str(tmp_path / "run")) as served:
            if round_:
                found = listed(served)
                for photo, label in person.labels.items():
                    if photo not in person.unsure:
                        assert found.get(photo, "gone") == label, photo
                assert not person.forgotten & set(found)
                for photo in set(found) - set(person.labels) - person.unsure:
                    # Photos of a request that was cut off may be there.
                    assert found[photo] in (None, "a", "b"), photo
                person.labels, person.unsure = found, set()
            person.live(served, 4 + 2 * round_)
            sleep(0.1)
