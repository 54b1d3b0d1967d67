"""Streams that are killed at random moments end as if they had not been."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import threading
import time
from io import BytesIO
from pathlib import Path

import pytest

from tests.stream.stream_children import Children
from tests.stream.stream_pictures import PICTURES, final_state, label_of, picture


def _video(path: Path) -> Path:
    av = pytest.importorskip("av")
    from PIL import Image

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for i in range(PICTURES):
            image = Image.open(BytesIO(picture(i))).resize((64, 64))
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return path


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Client(threading.Thread):
    """Posts all pictures in order, each again until it is acknowledged."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.acknowledged: list[str] = []
        self.wrong: list[tuple[int, bytes]] = []

    def run(self) -> None:
        for i in range(PICTURES):
            while not self._post(i):
                time.sleep(0.01)
            self.acknowledged.append(f"n{i}")

    def _post(self, i: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(
                "POST",
                f"/samples?id=n{i}&label={label_of(i)}",
                body=picture(i),
                headers={"Content-Type": "image/png"},
            )
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if answer.status not in (200, 429):
            self.wrong.append((answer.status, body))
        return answer.status == 200


def _order(kind: str, inputs: Path, run: Path) -> dict[str, object]:
    run.parent.mkdir(parents=True, exist_ok=True)
    order: dict[str, object] = {"out": str(run), "acks": str(run.with_suffix(".acks"))}
    if kind == "folder":
        return {**order, "source": f"folder:{inputs / 'folder'}", "once": True}
    if kind == "jsonl":
        return {**order, "source": f"jsonl:{inputs / 'lines.jsonl'}"}
    if kind == "tar":
        return {
            **order,
            "source": f"tar:{inputs}/shard-*.tar",
            "repeat": True,
            "limit": 2 * PICTURES,
            "learning": {"views": 2},
        }
    if kind == "video":
        path = inputs / "film.mp4"
        if not path.exists():
            _video(path)
        return {**order, "source": f"video:{path}", "label": "film"}
    return {**order, "source": f"http:{_free_port()}"}


def _acknowledged(acks: Path) -> set[str]:
    """Ids that were acknowledged as learned or seen; a torn last line was not."""
    if not acks.exists():
        return set()
    whole = acks.read_bytes().rpartition(b"\n")[0].splitlines()
    answers = map(json.loads, whole)
    return {a["id"] for a in answers if a["status"] in ("accepted", "labelled", "duplicate")}


def _run(
    children: Children, order: dict[str, object], kind: str, rng: random.Random | None, most: int
) -> tuple[int, set[str]]:
    """Run a stream to its end, killed up to ``most`` times; returns kills and acknowledged ids."""
    kills = 0
    client = None
    if kind == "http":
        client = Client(int(str(order["source"]).rpartition(":")[2]))
        client.start()
    while True:
        pid = children.start(order)
        if rng is not None and kills < most:
            time.sleep(rng.uniform(0.005, 0.25))
            if client is None or client.is_alive():
                os.kill(pid, signal.SIGKILL)
                status = children.status()
                if status == -signal.SIGKILL:
                    kills += 1
                    continue
                assert status == 0  # it had ended by itself
                break
        if client is not None:
            client.join(120)
            assert not client.is_alive()
            os.kill(pid, signal.SIGTERM)
        assert children.status() == 0
        break
    if client is not None:
        assert client.wrong == []
        return kills, set(client.acknowledged)
    return kills, _acknowledged(Path(str(order["acks"])))


def _campaign(children: Children, inputs: Path, tmp_path: Path, kind: str, kills: int) -> int:
    reference = tmp_path / "reference" / "run"
    _, expected = _run(children, _order(kind, inputs, reference), kind, None, 0)
    rng = random.Random(kind)
    done = 0
    turn = 0
    while done < kills:
        run = tmp_path / f"killed-{turn}" / "run"
        count, acknowledged = _run(children, _order(kind, inputs, run), kind, rng, kills - done)
        assert final_state(run) == final_state(reference)
        assert acknowledged == expected
        done += count
        turn += 1
        assert turn < 20 + kills
    return done


KINDS = ("folder", "jsonl", "tar", "http", "video")


@pytest.mark.parametrize("kind", KINDS[:4])
def test_few_kills(children: Children, inputs: Path, tmp_path: Path, kind: str) -> None:
    assert _campaign(children, inputs, tmp_path, kind, 2) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_campaign(children: Children, inputs: Path, tmp_path: Path, kind: str) -> None:
    """Five times 42 kills: 210."""
    assert _campaign(children, inputs, tmp_path, kind, 42) >= 42


def test_the_reference_is_what_was_sent(children: Children, inputs: Path, tmp_path: Path) -> None:
    order = _order("jsonl", inputs, tmp_path / "run")
    _, acknowledged = _run(children, order, "jsonl", None, 0)
    assert acknowledged == {f"n{i}" for i in range(PICTURES)}
    counts = final_state(tmp_path / "run")["counts"]
    assert counts["accepted"] == counts["labelled"] == counts["learned"] == PICTURES
