"""A run's numbers as its trackers read them back: all of them, each once, at its step."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import edgetransfer
from edgetransfer.errors import DataError, RunFolderError, UsageError
from edgetransfer.jobs.tracking import track
from edgetransfer.jobs.tracking.measured import MetricsReader, numbers_in
from edgetransfer.settings.track import TrackSettings

LINES = [
    {"epoch": i, "loss": 1 / i, "val": {"top1": 0.1 * i, "curve": [1, 2]}, "stopped": False}
    for i in range(1, 5)
]
WANTED = {(line["epoch"], "loss"): line["loss"] for line in LINES} | {
    (line["epoch"], "val/top1"): line["val"]["top1"] for line in LINES
}


def written(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / "config.toml").write_text('backbone = "b.onnx"\nseed = 3\n[stream]\nviews = 1\n')
    written(folder / "metrics.jsonl", LINES)
    (folder / "report.json").write_text(json.dumps({"final": {"top1": 0.5, "n": 8}}))
    return folder


def test_tensorboard(run, tmp_path):
    pytest.importorskip("tensorboardX")
    report = track(TrackSettings(run=run, to="tensorboard", out=tmp_path / "events"))
    assert (report["lines"], report["values"]) == (4, 8)
    found = events_in(tmp_path / "events" / "my run")
    assert {key: pytest.approx(value) for key, value in WANTED.items()} == {
        key: value for key, value in found.items() if key in WANTED
    }
    assert found[0, "final/top1"] == 0.5


def events_in(folder):
    """Scalars of event files: TFRecords of length, checksum, event, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in folder.iterdir():
        content, at = path.read_bytes(), 0
        while at < len(content):
            length = int.from_bytes(content[at : at + 8], "little")
            event = Event.FromString(content[at + 12 : at + 12 + length])
            at += length + 16
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    assert (event.step, value.tag) not in found
                    found[event.step, value.tag] = value.simple_value
    return found


@pytest.mark.slow
def test_mlflow(run, tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    track(TrackSettings(run=run, to="mlflow", out=tmp_path / "store", project="flowers"))
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=(tmp_path / "store").as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("flowers").experiment_id])
    assert found.data.params["stream/views"] == "1"
    assert found.data.metrics["final/n"] == 8
    history = {
        (point.step, name): point.value
        for name in ("loss", "val/top1")
        for point in client.get_metric_history(found.info.run_id, name)
    }
    assert history == WANTED


@pytest.mark.slow
def test_wandb_stays_here(run, tmp_path, monkeypatch):
    """Read back from its file, with every address but this machine's out of reach."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    call = ["track", str(run), "--to", "wandb", "--out", str(tmp_path / "kept")]
    # Its own process writes the file's end after `finish` has returned, before this one ends.
    subprocess.run([sys.executable, "-m", "edgetransfer", *call], check=True)
    (file,) = (tmp_path / "kept").rglob("*.wandb")
    content = file.read_bytes()
    for name in (b"val/top1", b"final/top1", b"stream/views"):
        assert name in content


def test_a_run_is_followed_to_its_end(run, tmp_path):
    pytest.importorskip("tensorboardX")
    file = run / "metrics.jsonl"
    written(file, LINES[:1])
    looks = []

    def wait(_seconds):
        looks.append(1)
        if len(looks) == 1:
            file.write_text(file.read_text() + json.dumps(LINES[1]))  # not whole yet
        elif len(looks) == 2:
            file.write_text(file.read_text() + "\n" + json.dumps(LINES[2]) + "\n")
        elif len(looks) == 3:  # rolled back, and on from there
            written(file, [*LINES[:2], LINES[3]])
        else:
            raise KeyboardInterrupt

    settings = TrackSettings(run=run, to="tensorboard", out=tmp_path / "events", follow=True)
    assert track(settings, wait=wait)["lines"] == 4


def test_numbers_alone():
    record = {
        "epoch": 1,
        "a": 1,
        "b": {"c": 2.5, "d": float("nan"), "e": True},
        "f": "x",
        "g": None,
    }
    assert dict(numbers_in(record)) == {"a": 1.0, "b/c": 2.5}


def test_damaged_metrics_are_named(run):
    (run / "metrics.jsonl").write_text('{"epoch": 1}\n{"epo\n')
    reader = MetricsReader(run / "metrics.jsonl")
    with pytest.raises(DataError, match=r"metrics.jsonl, line 2: damaged"):
        list(reader.news())


@pytest.mark.parametrize(
    ("to", "module"), [("tensorboard", "tensorboardX"), ("mlflow", "mlflow"), ("wandb", "wandb")]
)
def test_what_is_absent_is_named_with_what_brings_it(run, to, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"pip install 'edgetransfer\[{to}\]'"):
        edgetransfer.track_run(run=run, to=to)


def test_what_does_not_go_together(tmp_path):
    with pytest.raises(UsageError, match="--online is of wandb"):
        TrackSettings(run="run", to="tensorboard", online=True)
    with pytest.raises(RunFolderError, match="no-run"):
        edgetransfer.track_run(run=tmp_path / "no-run", to="tensorboard")
