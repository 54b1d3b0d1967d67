"""Commands that write, each on a small world that is made anew for it."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.disk.commands import Commands
from tests.graphs_made import tiny
from tests.photos import write_photos

# Files that hold times, or what follows from them: they are to be there, and no more is asked.


@dataclass(frozen=True, kw_only=True)
class World:
    """What commands are given: photos, backbones, runs.

    Parameters
    ----------
    given
        What is never written to.
    work
        What is.
    """

    given: Path
    work: Path

    @property
    def photos(self) -> Path:
        return self.given / "photos"

    @property
    def small(self) -> Path:
        """Half of its weights are zero."""
        return self.given / "small.onnx"

    @property
    def dense(self) -> Path:
        return self.given / "dense.onnx"

    @property
    def lines(self) -> Path:
        return self.given / "lines.jsonl"

    @property
    def machine(self) -> tuple[object, ...]:
        return ("--engine", "onnxruntime", "--threads", "1")

    @property
    def training(self) -> tuple[object, ...]:
        return ("--data", self.photos, "--backbone", self.small, *self.machine)

    @property
    def stream(self) -> tuple[object, ...]:
        return ("--source", f"jsonl:{self.lines}", "--backbone", self.small, "--engine-batch", "4")

    def make(self) -> None:
        write_photos(self.photos / "train", 5, 0)
        write_photos(self.photos / "test", 2, 1)
        tiny(size=32, width=8, sparsity=0.5).save(self.small)
        tiny(size=32, width=8).save(self.dense)
        paths = sorted((self.photos / "train").rglob("*.png"))
        with self.lines.open("w") as file:
            for path in paths:
                picture = base64.b64encode(path.read_bytes()).decode()
                line = {"id": path.stem + path.parent.name, "base64": picture}
                file.write(json.dumps({**line, "label": path.parent.name}) + "\n")


Argv = Callable[[World], tuple[object, ...]]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A command, what it needs, and what it makes.

    Parameters
    ----------
    name
        As it is reported.
    before
        Commands that make what it is done to.
    argv
        The command.
    again
        The same after a kill or a failure; as the first time if None.
    makes
        Files and folders that it writes, within the work folder.
    run
        Which of them is a run that must be readable at every moment, if it was before.
    waits
        Whether it waits on a full disk and goes on, rather than fail.
    """

    name: str
    argv: Argv
    makes: tuple[str, ...]
    before: tuple[Argv, ...] = ()
    again: Argv | None = None
    run: str | None = None
    waits: bool = False


def trained(world: World) -> tuple[object, ...]:
    return ("train", *world.training, "--out", world.work / "run")


def streamed(world: World) -> tuple[object, ...]:
    return ("stream", *world.stream, "--out", world.work / "stream", "--threads", "1")


def sparse(world: World, *more: object) -> tuple[object, ...]:
    out = world.work / "sparse.onnx"
    photos = ("--calibration", world.photos, "--sparsity", "0.75")
    return ("sparsify", world.dense, "--out", out, *photos, *world.machine, *more)


SCENES = (
    Scene(
        name="train",
        argv=trained,
        again=lambda w: (*trained(w), "--resume"),
        makes=("run",),
        run="run",
    ),
    Scene(
        name="train --online",
        argv=lambda w: (*trained(w), "--online", "--epochs", "2"),
        again=lambda w: (*trained(w), "--online", "--epochs", "2", "--resume"),
        makes=("run",),
        run="run",
    ),
    Scene(
        name="train --overwrite",
        before=(trained,),
        argv=lambda w: (*trained(w), "--solver", "ridge", "--overwrite"),
        makes=("run",),
        run="run",
    ),
    Scene(
        name="finetune --overwrite",
        before=(trained,),
        argv=lambda w: (
            *("finetune", *w.training[:4], "--out", w.work / "run", "--threads", "1"),
            *("--epochs", "1", "--overwrite"),
        ),
        makes=("run",),
        run="run",
    ),
    Scene(
        name="sparsify",
        argv=sparse,
        makes=("sparse.onnx", "sparse.toml", "sparse.sparsify.json", "sparse.onnx.partial"),
    ),
    Scene(
        name="sparsify --overwrite",
        before=(lambda w: sparse(w, "--method", "magnitude"),),
        argv=lambda w: sparse(w, "--overwrite"),
        makes=("sparse.onnx", "sparse.toml", "sparse.sparsify.json", "sparse.onnx.partial"),
    ),
    Scene(
        name="export --out FILE",
        before=(trained,),
        argv=lambda w: ("export", w.work / "run", "--out", w.work / "whole.onnx"),
        makes=("whole.onnx", "predict_onnx.py"),
    ),
    Scene(
        name="export --out FOLDER",
        before=(trained,),
        argv=lambda w: ("export", w.work / "run", "--out", w.work / "folder"),
        makes=("folder",),
        run="folder",
    ),
    Scene(
        name="report RUN",
        before=(trained,),
        argv=lambda w: ("report", w.work / "run"),
        makes=("run",),
        run="run",
    ),
    Scene(
        name="report --compare",
        before=(trained, lambda w: (*trained(w)[:-1], w.work / "other", "--solver", "ridge")),
        argv=lambda w: (
            *("report", w.work / "run", w.work / "other", "--compare"),
            *("--out", w.work / "both.html"),
        ),
        makes=("both.html",),
    ),
    Scene(
        name="audit",
        before=(trained,),
        argv=lambda w: (
            *("audit", w.work / "run", "--manifest", w.work / "audit.csv"),
            *("--sort-into", w.work / "doubtful"),
        ),
        makes=("audit.csv", "doubtful"),
    ),
    Scene(
        name="evaluate --out",
        before=(trained,),
        argv=lambda w: (
            *("evaluate", w.work / "run", w.photos / "test"),
            *("--out", w.work / "page.html"),
        ),
        makes=("page.html",),
    ),
    Scene(
        name="predict --sort-into",
        before=(trained,),
        argv=lambda w: (
            *("predict", w.work / "run", w.photos / "test"),
            *("--sort-into", w.work / "sorted"),
        ),
        makes=("sorted",),
    ),
    Scene(
        name="import --overwrite",
        before=(lambda w: ("import", w.small, "--out", w.work / "taken.onnx"),),
        argv=lambda w: ("import", w.dense, "--out", w.work / "taken.onnx", "--overwrite"),
        makes=("taken.onnx", "taken.toml"),
    ),
    Scene(
        name="extract",
        argv=lambda w: ("extract", *w.training, "--out", w.work / "features"),
        makes=("features",),
    ),
    Scene(
        name="extract --overwrite",
        before=(
            lambda w: (
                *("extract", "--data", w.photos, "--backbone", w.dense, *w.machine),
                *("--out", w.work / "features"),
            ),
        ),
        argv=lambda w: ("extract", *w.training, "--out", w.work / "features", "--overwrite"),
        makes=("features",),
    ),
    Scene(
        name="stream",
        argv=streamed,
        makes=("stream",),
        run="stream",
        waits=True,
    ),
    Scene(
        name="rollback",
        before=(streamed,),
        argv=lambda w: ("rollback", w.work / "stream", "--to", "9"),
        makes=("stream",),
        run="stream",
    ),
    Scene(
        name="forget",
        before=(streamed,),
        argv=lambda w: ("forget", w.work / "stream", "--class", "red"),
        makes=("stream",),
        run="stream",
    ),
    Scene(
        name="relabel",
        before=(streamed,),
        argv=lambda w: ("relabel", w.work / "stream", "--id", "000red", "--to", "blue"),
        makes=("stream",),
        run="stream",
    ),
)


@dataclass(kw_only=True)
class Stage:
    """Makes the world of a scene anew, again and again.

    Parameters
    ----------
    folder
        An empty one.
    """

    folder: Path
    world: World = field(init=False)
    commands: Commands = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(given=self.folder / "given", work=self.folder / "work")
        for name in ("given", "work", "logs", "begun"):
            (self.folder / name).mkdir()
        self.world.make()
        self.commands = Commands(self.folder / "logs", self.world.work)

    def prepare(self, scene: Scene) -> None:
        """Carry out what comes before a scene."""
        self._clear()
        for argv in scene.before:
            done = self.commands.run(*argv(self.world))
            assert done.status == 0, done.said
        shutil.rmtree(self.folder / "begun")
        shutil.copytree(self.world.work, self.folder / "begun", symlinks=True)

    def begin(self) -> None:
        """The world as it was before the scene."""
        self._clear()
        shutil.copytree(self.folder / "begun", self.world.work, symlinks=True, dirs_exist_ok=True)

    def _clear(self) -> None:
        for path in self.world.work.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
