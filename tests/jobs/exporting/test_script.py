"""The script beside an export sees photos as `predict` does, and needs three packages alone."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from edgetransfer import Classifier, LinearTraining, export, train_linear
from edgetransfer.data import find_images
from edgetransfer.images import SUFFIXES, decode_image


def said(lines: str) -> dict[str, dict[str, float]]:
    """Photo to the probabilities that a script printed of its best classes."""
    found = {}
    for line in lines.splitlines():
        photo, rest = line.split("  ", 1)
        found[photo] = {name: float(p) / 100 for name, p in re.findall(r"(\S+) ([\d.]+)%", rest)}
    return found


def by_script(folder: Path, model: Path, photos: list[Path], capsys, monkeypatch) -> str:
    monkeypatch.setattr(sys, "argv", ["predict_onnx.py", str(model), *map(str, photos)])
    runpy.run_path(str(folder / "predict_onnx.py"))
    return capsys.readouterr().out


def check(model: Path, photos: list[Path], lines: str) -> None:
    found = said(lines)
    with Classifier.load(model, engine="onnxruntime", threads=1) as classifier:
        for prediction in classifier.predict(photos):
            assert prediction.error is None
            expected = dict(zip(prediction.classes, prediction.probabilities, strict=True))
            for name, p in found[prediction.id].items():
                # Half of the last digit that is printed, beside what is promised.
                assert p == pytest.approx(expected[name], abs=1e-3 + 5e-4), prediction.id
            best = next(iter(found[prediction.id]))
            assert expected[best] == pytest.approx(max(expected.values()), abs=1e-3)


def odd_photos(folder: Path) -> list[Path]:
    """Photos that a naive script would see otherwise."""
    folder.mkdir()
    rng = np.random.default_rng(3)

    def picture(width: int, height: int, bands: int = 3) -> Image.Image:
        small = rng.integers(0, 256, (7, 9, bands), np.uint8)
        return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)

    made = []

    def save(name: str, image: Image.Image, **options: object) -> None:
        image.save(folder / name, **options)
        made.append(folder / name)

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"turned{orientation}.jpg", picture(90, 60), exif=exif, quality=95)
    save("alpha.png", picture(50, 70, 4))
    clear = picture(50, 70, 4)
    clear.putalpha(0)
    save("clear.png", clear)
    save("grey.png", picture(64, 48).convert("L"))
    save("palette.gif", picture(64, 48).quantize(32))
    save("cmyk.jpg", picture(64, 48).convert("CMYK"), quality=95)
    save("long.png", picture(2000, 20))
    save("tall.png", picture(9, 1500))
    save("small.png", picture(5, 4))
    save("odd.webp", picture(101, 67), lossless=True)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    save("srgb.jpg", picture(80, 60), icc_profile=srgb, quality=95)
    other = picture(80, 60)
    save("other.png", other, icc_profile=_unlike_srgb(srgb))
    assert not np.array_equal(decode_image(folder / "other.png"), np.asarray(other))
    return made


def _unlike_srgb(profile: bytes) -> bytes:
    """sRGB's profile with its red and blue primaries exchanged."""
    count = int.from_bytes(profile[128:132], "big")
    data = bytearray(profile)
    at = {}
    for i in range(count):
        entry = 132 + 12 * i
        at[bytes(profile[entry : entry + 4])] = entry
    red, blue = at[b"rXYZ"], at[b"bXYZ"]
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_script_sees_photos_as_predict_does(
    inside: bool,
    interpolation: str,
    photos: Path,
    backbone: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train_linear(
        LinearTraining(
            backbone=str(backbone),
            data=photos,
            out=tmp_path / "run",
            cache_dir=tmp_path / "cache",
            engine="onnxruntime",
            threads=1,
            l2=1e-3,
            interpolation=interpolation,  # type: ignore[arg-type]
            normalisation="caffe" if inside else None,
        )
    )
    # With 0 none is unknown: odd photos are far from all classes.
    export(tmp_path / "run", tmp_path / "m.onnx", preprocessing_inside=inside, unknown_below=0)
    shown = [
        *sorted(find_images(photos / "test", suffixes=SUFFIXES)),
        *odd_photos(tmp_path / "odd"),
    ]
    capsys.readouterr()
    lines = by_script(tmp_path, tmp_path / "m.onnx", shown, capsys, monkeypatch)
    assert len(said(lines)) == len(shown)
    check(tmp_path / "m.onnx", shown, lines)


def test_the_script_says_what_is_unknown(
    run: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = sorted(find_images(photos / "test", suffixes=SUFFIXES))
    with Classifier.load(run, engine="onnxruntime") as classifier:
        best = sorted(p.probabilities[0] for p in classifier.predict(shown))
    threshold = (best[7] + best[8]) / 2
    export(run, tmp_path / "m.onnx", unknown_below=threshold)
    capsys.readouterr()
    lines = by_script(tmp_path, tmp_path / "m.onnx", shown, capsys, monkeypatch)
    with Classifier.load(tmp_path / "m.onnx", engine="onnxruntime") as classifier:
        expected = [p.unknown for p in classifier.predict(shown)]
    assert [line.endswith(" unknown") for line in lines.splitlines()] == expected
    assert sum(expected) == 8


@pytest.mark.parametrize("given", [None, 0.0, 0.7])
def test_what_is_far_from_all_classes_is_unknown_in_every_form(
    given: float | None,
    photos: Path,
    backbone: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for label in ("blue", "green", "red"):
        for i in range(8):  # 5 % of 24 is one
            small = np.random.default_rng((i, len(label))).integers(0, 90, (32, 32, 3), np.uint8)
            small[..., ["red", "green", "blue"].index(label)] += 160
            Image.fromarray(small).save(photos / "train" / label / f"more{i}.png")
    run = tmp_path / "run"
    train_linear(
        backbone=str(backbone),
        data=str(photos),
        out=str(run),
        cache_dir=str(tmp_path / "cache"),
        engine="onnxruntime",
        threads=1,
        feature_map="raw",
    )
    shown = [
        *sorted(find_images(photos, suffixes=SUFFIXES)),
        *odd_photos(tmp_path / "odd"),
    ]
    forms = [tmp_path / name for name in ("m.onnx", "inside.onnx", "folder")]
    for form in forms:
        export(run, form, unknown_below=given, preprocessing_inside=form.stem == "inside")
    with Classifier.load(run, engine="onnxruntime", unknown_below=given) as classifier:
        expected = {p.id: p.unknown for p in classifier.predict(shown)}
    assert any(expected.values()) == (given != 0)
    assert not all(expected.values())
    for form in forms:
        with Classifier.load(form, engine="onnxruntime") as classifier:
            assert {p.id: p.unknown for p in classifier.predict(shown)} == expected
    for form in forms[:2]:
        capsys.readouterr()
        lines = by_script(tmp_path, form, shown, capsys, monkeypatch)
        said = {line.split("  ")[0]: line.endswith(" unknown") for line in lines.splitlines()}
        assert said == expected


def test_the_script_is_short() -> None:
    from edgetransfer.jobs.exporting import job

    lines = Path(job.__file__).with_name("predict_onnx.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 60
    assert not [line for line in lines if "edgetransfer" in line and "import" in line]


@pytest.mark.slow
def test_three_packages_are_enough(run: Path, photos: Path, tmp_path: Path) -> None:
    """And on real photos, where the shared ones are there: to 1e-3 of a probability."""
    place = tmp_path / "three"
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "-q", "onnxruntime", "numpy", "pillow"]
    if subprocess.run(command, check=False, capture_output=True, timeout=600).returncode:
        pytest.skip("no package index can be reached")
    export(run, tmp_path / "m.onnx")
    shown = sorted(find_images(photos / "test", suffixes=SUFFIXES))
    script = [str(python), str(tmp_path / "predict_onnx.py"), str(tmp_path / "m.onnx")]
    done = subprocess.run(
        [*script, *map(str, shown)], check=True, capture_output=True, text=True, env={}, timeout=300
    )
    check(tmp_path / "m.onnx", shown, done.stdout)
