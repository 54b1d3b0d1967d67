"""A run that changes while it is served: taken up if it is whole, left alone if it is not."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetransfer.heads import LinearHead
from edgetransfer.serve import ServeSettings, run_server
from edgetransfer.train import Classifier, LinearTraining, train_linear
from edgetransfer.web import AddressSettings
from tests.photos import backbone, photos
from tests.serve.conftest import Server
from tests.waiting import until

__all__ = ["backbone", "photos"]


class Serving:
    """`run_server` in a thread of this process."""

    def __init__(self, run: Path) -> None:
        self.stop = threading.Event()
        self.report: dict[str, Any] = {}
        there = threading.Event()
        settings = ServeSettings(run=run, address=AddressSettings(port=0), batch_size=4)

        def started(address: str) -> None:
            self.port = int(address.rpartition(":")[2])
            there.set()

        def work() -> None:
            self.report = run_server(settings, stop=self.stop, started=started)

        self.thread = threading.Thread(target=work)
        self.thread.start()
        assert there.wait(30)

    ask = Server.ask

    def model(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.ask("GET", "/model")[1]
        return answer

    def until(self, **values: Any) -> None:
        until(lambda: all(self.model()[key] == value for key, value in values.items()))

    def close(self) -> None:
        self.stop.set()
        self.thread.join(60)
        assert self.report


@pytest.fixture
def trained(photos: Path, backbone: Path, tmp_path: Path) -> Path:
    train_linear(
        LinearTraining(
            data=photos / "train", backbone=str(backbone), out=tmp_path / "run", solver="ridge"
        )
    )
    return tmp_path / "run"


def test_what_is_written_is_taken_up_and_what_is_damaged_is_not(
    trained: Path, photos: Path
) -> None:
    serving = Serving(trained)
    statuses: set[int] = set()
    done = threading.Event()
    data = (photos / "test" / "red" / "000.png").read_bytes()

    def ask() -> None:
        while not done.is_set():
            statuses.add(serving.ask("POST", "/predict", data)[0])

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        path = trained / "head.safetensors"
        head = LinearHead.load(path)
        other = replace(head, classes=tuple(f"{name}!" for name in head.classes))
        other.save(path, dict(head.metadata))
        serving.until(taken_up=1)
        until(lambda: "red!" in serving.model()["classes"])  # it is taken up with the next batch
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        until(lambda: serving.model()["problem"] is not None)
        assert serving.ask("GET", "/healthz")[1] == {"status": "stale"}
        assert "red!" in serving.model()["classes"]
        head.save(path, {**head.metadata, "unknown_below": "0.999999"})
        serving.until(problem=None, unknown_below=0.999999)
        assert "red" in serving.model()["classes"]
    finally:
        done.set()
        asking.join(30)
        serving.close()
    assert statuses == {200}


@pytest.mark.slow
def test_an_exported_file_is_served_and_taken_up(trained: Path, photos: Path) -> None:
    from edgetransfer import export

    given = trained.parent / "given.onnx"
    export(trained, given)
    serving = Serving(given)
    try:
        data = (photos / "test" / "blue" / "000.png").read_bytes()
        answer = serving.ask("POST", "/predict", data)[1]
        with Classifier.load(trained) as classifier:
            direct = classifier.predict(data, top=5)
        assert list(answer["classes"]) == list(direct.classes)
        assert np.allclose(list(answer["classes"].values()), direct.probabilities, atol=1e-5)
        moved = trained.parent / "moved.onnx"
        shutil.copy(given, moved)
        moved.replace(given)
        serving.until(taken_up=1)
        assert serving.ask("POST", "/predict", data)[1]["classes"] == pytest.approx(
            answer["classes"], abs=1e-6
        )
    finally:
        serving.close()
