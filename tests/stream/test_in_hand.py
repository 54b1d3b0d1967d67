"""A sample that kills the process is not taken again at each restart."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest

from edgetransfer.data.streams import Arrival
from edgetransfer.images import alone
from edgetransfer.stream.keeping import in_hand
from edgetransfer.stream.keeping.in_hand import MOST_DEATHS, SUSPECTS_FILE, InHand, Turns
from edgetransfer.stream.learning.ids import id_key
from tests.stream.stream_pictures import picture


def nothing(_key: bytes) -> bool:
    return False


def killed_with(run: Path, name: str, *, ended: str | None = None) -> None:
    """A process that is killed while it has a sample in hand."""

    def work() -> None:
        hand = InHand(run, nothing)
        if ended is not None:
            hand.began(ended)
            hand.ended()
        hand.began(name)
        os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(20)
    assert child.exitcode == -signal.SIGKILL


def arrival(name: str) -> Arrival:
    return Arrival(id=name, source=picture(0), label="a")


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was tried alone; `alone_lives` says with what outcome."""
    seen: list[bytes] = []
    monkeypatch.setattr(in_hand, "survives_alone", lambda data: seen.append(data) or True)
    return seen


def test_a_killed_process_leaves_its_sample_behind(tmp_path: Path, trials: list[bytes]) -> None:
    killed_with(tmp_path, "guilty", ended="done")
    hand = InHand(tmp_path, nothing)
    assert hand.why_set_aside(arrival("done")) is None
    assert hand.why_set_aside(arrival("another")) is None
    assert trials == []
    assert hand.why_set_aside(arrival("guilty")) is None  # alone it lives: it is taken again
    assert trials == [picture(0)]
    assert hand.why_set_aside(arrival("guilty")) is None
    assert len(trials) == 1
    hand.close()


def test_one_that_kills_again_is_set_aside_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_with(tmp_path, "guilty")
    tried = []
    monkeypatch.setattr(in_hand, "survives_alone", lambda data: bool(tried.append(data)))
    for _ in range(3):
        hand = InHand(tmp_path, nothing)
        reason = hand.why_set_aside(arrival("guilty"))
        assert reason is not None
        assert "set aside" in reason
        hand.close()
    assert len(tried) == 1  # known from then on


def test_one_that_lives_alone_and_kills_the_stream_is_set_aside_in_the_end(
    tmp_path: Path, trials: list[bytes]
) -> None:
    for deaths in range(1, MOST_DEATHS + 1):
        killed_with(tmp_path, "guilty")
        hand = InHand(tmp_path, nothing)
        assert (hand.why_set_aside(arrival("guilty")) is None) == (deaths < MOST_DEATHS)
        hand.close()
    assert len(trials) == MOST_DEATHS - 1


def test_what_was_accepted_is_no_suspect(tmp_path: Path, trials: list[bytes]) -> None:
    killed_with(tmp_path, "fine")
    InHand(tmp_path, id_key("fine").__eq__).close()
    hand = InHand(tmp_path, nothing)
    assert hand.why_set_aside(arrival("fine")) is None
    assert trials == []
    hand.close()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"zz": 1}', b'{"00": "x"}', b"\xff"])
def test_a_damaged_file_is_begun_anew(content: bytes, tmp_path: Path, trials: list[bytes]) -> None:
    (tmp_path / SUSPECTS_FILE).write_bytes(content)
    killed_with(tmp_path, "guilty")
    hand = InHand(tmp_path, nothing)
    hand.why_set_aside(arrival("guilty"))
    assert len(trials) == 1
    assert list(json.loads((tmp_path / SUSPECTS_FILE).read_text())) == [id_key("guilty").hex()]
    hand.close()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "in-hand.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="in-hand"):
        InHand(tmp_path / "run", nothing)
    assert (tmp_path / "elsewhere").read_bytes() == b"kept"


def test_a_suspect_is_decoded_while_no_other_is() -> None:
    turns, guard = Turns(), threading.Lock()
    inside: list[bool] = []
    wrong: list[list[bool]] = []
    done = []

    def work(number: int) -> None:
        for i in range(40):
            alone = (number + i) % 5 == 0
            turns.begin(alone=alone)
            for _ in range(3):
                with guard:
                    inside.append(alone)
                    if any(inside) and len(inside) > 1:
                        wrong.append([*inside])
                with guard:
                    inside.remove(alone)
            turns.end()
        done.append(number)

    workers = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert wrong == []
    assert sorted(done) == [*range(6)], "nobody waits for ever"


def test_what_was_in_hand_beside_the_guilty_is_taken(tmp_path: Path, trials: list[bytes]) -> None:
    """However often: two threads decode, and what one of them has in hand kills the process."""

    def work() -> None:
        hand = InHand(tmp_path, nothing)
        assert hand.why_set_aside(arrival("guilty")) is None
        assert hand.why_set_aside(arrival("innocent")) is None
        hand.began("guilty")
        beside = threading.Thread(target=hand.began, args=("innocent",), daemon=True)
        beside.start()
        beside.join(0.3)  # for ever, where it may not begin
        os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(MOST_DEATHS):
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
    hand = InHand(tmp_path, nothing)
    assert hand.why_set_aside(arrival("guilty")) is not None
    assert hand.why_set_aside(arrival("innocent")) is None
    assert len(trials) == 1, "it was in hand at the first death, when nobody was a suspect yet"
    hand.close()


def test_a_process_of_its_own_says_whether_a_photo_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    assert alone.survives_alone(picture(0))
    assert alone.survives_alone(b"no photo")
    monkeypatch.setattr(alone, "SECONDS", 0.01)
    assert not alone.survives_alone(picture(0))  # it takes for ever


def test_a_stream_goes_on_without_what_kills_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgetransfer.stream import run_stream
    from tests.stream.stream_pictures import fake_feature_source, label_of, settings_for

    folder = tmp_path / "in"
    for i in range(12):
        (folder / label_of(i)).mkdir(parents=True, exist_ok=True)
        (folder / label_of(i) / f"{i}.png").write_bytes(picture(i))
    settings = settings_for(f"folder:{folder}", tmp_path / "run", once=True)
    run_stream(
        settings_for(f"folder:{tmp_path / 'in'}", tmp_path / "run", once=True, limit=1),
        feature_source=fake_feature_source(),
    )
    guilty = "red/8.png"
    killed_with(tmp_path / "run", guilty)
    monkeypatch.setattr(in_hand, "survives_alone", lambda data: data != picture(8))
    report = run_stream(settings, feature_source=fake_feature_source())
    assert report["accepted"] == 11
    assert report["refused"] == 1
    assert guilty in (tmp_path / "run" / "skipped.jsonl").read_text()
