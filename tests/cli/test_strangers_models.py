"""Every command that opens a model, given one whose weights lie outside of its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgetransfer.cli.main import COMMANDS, main
from tests.cli.opening_models import CALLS, NONE
from tests.graphs.test_untrusted import SECRET, points_to
from tests.graphs_made import tiny
from tests.photos import write_photos


def test_every_command_is_here() -> None:
    assert {name.split()[0] for name in CALLS} | NONE == set(COMMANDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("place")
    (place / "secret").write_bytes(SECRET)
    write_photos(place / "photos" / "train", 3, 0)
    write_photos(place / "photos" / "test", 1, 1)
    tiny(size=32).save(place / "net.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("EDGETRANSFER_CACHE", str(place / "cache"))
        words = "--data photos --backbone net.onnx --out run --solver ridge --engine onnxruntime"
        assert main(["train", *words.split(), "--no-report"]) == 0
    return place


@pytest.mark.parametrize("link", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CALLS)
def test_weights_outside_of_the_models_folder_are_refused(
    name: str,
    link: bool,
    made: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if name.startswith(("finetune", "pretrain")):
        pytest.importorskip("torch")
    monkeypatch.chdir(made)
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(made / "cache"))
    model = points_to(made / "home", "w.bin" if link else "../secret")
    (made / "home" / "w.bin").unlink(missing_ok=True)
    if link:
        (made / "home" / "w.bin").symlink_to(made / "secret")
    config = made / "run" / "config.toml"
    before, there = config.read_text(), {path.name for path in made.iterdir()}
    lines = [f'backbone = "{model}"' if x.startswith("backbone =") else x for x in
             before.splitlines()]  # fmt: skip
    config.write_text("\n".join(lines) + "\n")
    shutil.rmtree(made / "out", ignore_errors=True)
    words = [w.replace("{run}", "run").replace("{}", str(model)) for w in CALLS[name].split()]
    try:
        code = main([name.split()[0], *words])
    finally:
        config.write_text(before)
    said = capsys.readouterr().err
    assert code == 3, said
    assert "outside the model's folder" in said
    assert "m.onnx" in said
    for path in made.rglob("*"):
        if path.is_file() and path.parent != made and path.parent.name != "home":
            assert SECRET[:64] not in path.read_bytes()
    assert {path.name for path in made.iterdir()} - there <= {"out"}
    assert not (made / "out.onnx").exists()
