"""A folder has one owner at a time, whichever commands write to it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgetransfer import LinearTraining, train_linear
from edgetransfer.benchmark import BenchmarkSettings, run_benchmark
from edgetransfer.benchmark.folder import BenchmarkFolder
from edgetransfer.compare import job as comparing
from edgetransfer.data.streams import Arrival
from edgetransfer.errors import RunFolderError, TakenError
from edgetransfer.jobs.demo import run_demo
from edgetransfer.runs import RunFolder
from edgetransfer.runs.owning import NAME, FolderOwner, is_empty, owned
from edgetransfer.sparsify import Sparsification, sparsify
from edgetransfer.stream import OnlineLearner, export, forget, rewind, rollback, run_stream
from tests.graphs_made import tiny
from tests.photos import backbone, linear_training, photos
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for

__all__ = ["backbone", "linear_training", "photos"]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != NAME
    }


class Pictures:
    """A source of some pictures; tells as it is asked for the first."""

    def __init__(self, first: int = 0, last: int = 24, begun: Callable[[], None] | None = None):
        self._range, self._begun = range(first, last), begun

    def arrivals(self, stop: threading.Event, ledger: object) -> Iterator[Arrival]:
        del stop, ledger
        if self._begun is not None:
            self._begun()
        for i in self._range:
            yield Arrival(id=f"n{i}", source=picture(i), label=label_of(i))


def stream(run: Path, begun: Callable[[], None] | None = None) -> None:
    run_stream(
        settings_for("", run), source=Pictures(begun=begun), feature_source=fake_feature_source()
    )


@pytest.fixture
def settings(linear_training: LinearTraining) -> LinearTraining:
    return linear_training


COMMANDS = ("train", "finetune", "stream", "rollback", "forget", "export", "benchmark", "demo")


def command(name: str, settings: LinearTraining, folder: Path) -> Callable[[], object]:
    """A call that would write to a folder."""
    match name:
        case "train":
            return lambda: train_linear(settings, overwrite=True)
        case "finetune":
            pytest.importorskip("torch")
            from edgetransfer.finetune import FinetuneSettings, finetune

            return lambda: finetune(settings, FinetuneSettings(), overwrite=True)
        case "stream":
            return lambda: stream(folder)
        case "rollback":
            return lambda: rollback(folder, "0")
        case "forget":
            return lambda: forget(folder, ids=frozenset(["n0"]), classes=frozenset())
        case "export":
            return lambda: export(settings.out.with_name("streamed"), folder)
        case "benchmark":
            return lambda: run_benchmark(
                BenchmarkSettings(
                    out=folder,
                    data=(settings.data,),
                    baseline=settings.backbone,
                    engines=("onnxruntime",),
                )
            )
        case "demo":
            return lambda: run_demo(folder)
    raise AssertionError(name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_writes_a_folder_is_refused_while_another_owns_it(
    name: str, settings: LinearTraining
) -> None:
    folder = settings.out
    if name in ("rollback", "forget"):
        stream(folder)
    elif name == "export":
        stream(folder.with_name("streamed"))
    else:
        folder.mkdir()
    before = contents(folder) if folder.is_dir() else {}
    with owned(folder, "stream"):
        with pytest.raises(RunFolderError, match=r"`edgetransfer stream` \(process \d+") as caught:
            command(name, settings, folder)()
        assert f"process {os.getpid()}, since 2" in str(caught.value)
        assert contents(folder) == before
    assert not (folder / NAME).exists()


def test_sparsify_owns_its_unfinished_part(tmp_path: Path) -> None:
    dense = tiny(size=32, width=8).save(tmp_path / "dense.onnx")
    asked = Sparsification(
        dense=str(dense),
        out=tmp_path / "sparse.onnx",
        method="magnitude",
        engine="onnxruntime",
        threads=1,
    )
    with (
        owned(tmp_path / "sparse.onnx.partial", "sparsify", temporary=True),
        pytest.raises(RunFolderError, match=r"`edgetransfer sparsify` \(process"),
    ):
        sparsify(asked)
    assert not asked.out.exists()
    sparsify(asked)
    assert not (tmp_path / "sparse.onnx.partial").exists()


class Race:
    """Two calls at once: whichever is in first stays there until the other one has answered."""

    def __init__(self) -> None:
        self._inside: list[int] = []
        self._answered = threading.Event()
        self._refused: list[str] = []
        self._failed: list[BaseException] = []

    def inside(self) -> None:
        """To be called by the call once it is in the folder."""
        if threading.get_ident() not in self._inside:
            self._inside.append(threading.get_ident())
        self._answered.wait(60)

    def run(self, *calls: Callable[[], object]) -> str:
        """Why the second was refused."""
        start = threading.Barrier(len(calls))

        def one(call: Callable[[], object]) -> None:
            start.wait(60)
            try:
                call()
            except RunFolderError as error:
                self._refused.append(str(error))
            except BaseException as error:
                self._failed.append(error)
            finally:
                self._answered.set()

        threads = [threading.Thread(target=one, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not self._failed, self._failed
        assert len(self._inside) <= 1, "two were in the folder at once"
        assert len(self._refused) == 1, self._refused
        return self._refused[0]


PAIRS = (("train", "train"), ("train", "stream"), ("rollback", "stream"))


@pytest.mark.parametrize(
    "times", [pytest.param(3, id="3"), pytest.param(50, id="50", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("pair", PAIRS)
def test_of_two_at_once_the_second_is_refused(
    pair: tuple[str, str],
    times: int,
    settings: LinearTraining,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states = rewind.saved_states
    for number in range(times):
        race = Race()
        folder = tmp_path / f"run{number}"
        if "rollback" in pair:
            stream(folder)
        own = replace(settings, out=folder)

        def held(run: Path, race: Race = race) -> object:
            race.inside()
            return states(run)

        monkeypatch.setattr(rewind, "saved_states", held)

        def call(name: str, race: Race = race, own: LinearTraining = own) -> Callable[[], object]:
            match name:
                case "train":
                    return lambda: train_linear(own, progress=lambda *_: race.inside())
                case "stream":
                    return lambda: stream(own.out, begun=race.inside)
            return lambda: rollback(own.out, "1000")

        reason = race.run(*map(call, pair))
        assert any(f"`edgetransfer {name}` (process" in reason for name in pair)
        assert not (folder / NAME).exists()
        if pair == ("train", "train"):  # what is there is one whole run
            assert train_linear(own, resume=True)["n_train"] == 60


def test_a_killed_owner_leaves_the_folder_to_others(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from edgetransfer.runs.owning import FolderOwner\n"
        "FolderOwner(Path(sys.argv[1]), 'train'); print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "in\n"
        with pytest.raises(RunFolderError, match=rf"process {child.pid}, since"):
            FolderOwner(tmp_path, "stream")
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert is_empty(tmp_path)  # its file is still there, and stands for nothing
    owner = FolderOwner(tmp_path, "stream")
    assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    owner.release()
    assert list(tmp_path.iterdir()) == []


def test_many_who_come_and_go_are_never_in_at_once(tmp_path: Path) -> None:
    inside, together, entered = 0, 0, 0
    counting = threading.Lock()

    def come_and_go() -> None:
        nonlocal inside, together, entered
        for _ in range(100):
            try:
                with owned(tmp_path / "run", "train", temporary=True):
                    with counting:
                        inside += 1
                        entered += 1
                        together = max(together, inside)
                    with counting:
                        inside -= 1
            except RunFolderError:
                pass

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == 1
    assert entered >= 100
    assert not (tmp_path / "run").exists()


def test_a_stream_that_is_open_is_named(tmp_path: Path) -> None:
    with (
        OnlineLearner(settings_for("", tmp_path / "run"), feature_source=fake_feature_source()),
        pytest.raises(RunFolderError, match=r"`edgetransfer stream` \(process"),
    ):
        rollback(tmp_path / "run", "0")


def test_a_full_disk_does_not_leave_a_folder_owned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("ftruncate", "write"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            owner = FolderOwner(tmp_path, "train")
        with pytest.raises(RunFolderError, match="another process is running here"):
            FolderOwner(tmp_path, "stream")
        owner.release()
        FolderOwner(tmp_path, "stream").release()


def _into_a_run(out: Path) -> None:
    RunFolder.check(out)


def _into_a_benchmark(out: Path) -> None:
    BenchmarkFolder(out).check()


def _into_a_comparison(out: Path) -> None:
    comparing._check(out)


@pytest.mark.parametrize("enter", [_into_a_run, _into_a_benchmark, _into_a_comparison])
def test_what_a_killed_first_write_left_is_no_stranger(
    tmp_path: Path, enter: Callable[[Path], None]
) -> None:
    enter(tmp_path)
    (tmp_path / ".config.json.00000000.tmp").write_bytes(b"half")
    enter(tmp_path)
    (tmp_path / "thesis.tex").write_bytes(b"all of it")
    with pytest.raises(TakenError):
        enter(tmp_path)
    assert (tmp_path / "thesis.tex").read_bytes() == b"all of it"
