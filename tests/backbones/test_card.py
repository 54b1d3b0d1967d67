"""Cards: beside the file, inside it, overridden, and wrong."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import onnx
import pytest

from edgetransfer.backbones import Backbone, BackboneCard
from edgetransfer.backbones.card import METADATA_KEY, read_card
from edgetransfer.errors import BackboneError, UsageError
from edgetransfer.types import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from tests.graphs_made import tiny

CARD = """
name = "Tiny"
size = 16
resize = 20
mean = [0.1, 0.2, 0.3]
std = [0.4, 0.5, 0.6]
interpolation = "bicubic"
dimension = 12
sparsity = 0.25
pruning = "none"
licence = "CC0-1.0"
source = "made here"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny().save(tmp_path / "tiny.onnx")


def metadata(path: Path, text: str) -> None:
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, str(path))


def test_without_a_card_imagenets_defaults_are_assumed_with_a_warning(path: Path) -> None:
    backbone = Backbone.open(path)
    assert backbone.preprocessing == Preprocessing(
        size=16, resize=18, mean=IMAGENET_MEAN, std=IMAGENET_STD, interpolation="bilinear"
    )
    assert backbone.name == "tiny"
    assert len(backbone.warnings) == 1
    assert "tiny.onnx" in backbone.warnings[0]
    assert "--mean" in backbone.warnings[0]


def test_mean_and_std_given_leave_nothing_assumed(path: Path) -> None:
    assert Backbone.open(path, mean=(0, 0, 0), std=(1, 1, 1)).warnings == ()
    assert len(Backbone.open(path, mean=(0, 0, 0)).warnings) == 1


@pytest.mark.parametrize("where", ["beside", "inside"])
def test_a_card_is_read(where: str, path: Path) -> None:
    if where == "beside":
        path.with_suffix(".toml").write_text(CARD)
    else:
        metadata(path, CARD)
    backbone = Backbone.open(path)
    assert backbone.warnings == ()
    assert backbone.card == BackboneCard(
        name="Tiny",
        preprocessing=Preprocessing(
            size=16,
            resize=20,
            mean=(0.1, 0.2, 0.3),
            std=(0.4, 0.5, 0.6),
            interpolation="bicubic",
        ),
        dimension=12,
        sparsity=0.25,
        pruning="none",
        licence="CC0-1.0",
        source="made here",
    )


def test_the_card_beside_wins_over_the_one_inside(path: Path) -> None:
    metadata(path, 'name = "inside"')
    assert Backbone.open(path).name == "inside"
    path.with_suffix(".toml").write_text('name = "beside"')
    assert Backbone.open(path).name == "beside"


def test_flags_override_the_card_one_by_one(path: Path) -> None:
    path.with_suffix(".toml").write_text(CARD)
    plain = Backbone.open(path).preprocessing
    assert Backbone.open(path, mean=(0.5, 0.5, 0.5)).preprocessing == Preprocessing(
        size=16, resize=20, mean=(0.5, 0.5, 0.5), std=plain.std, interpolation="bicubic"
    )
    assert Backbone.open(path, interpolation="bilinear").preprocessing.interpolation == "bilinear"
    assert Backbone.open(path, std=(1, 1, 1)).preprocessing.std == (1, 1, 1)
    assert Backbone.open(path, resize=31).preprocessing.resize == 31
    # The proportion of resize to crop is kept with another size.
    larger = Backbone.open(path, size=32).preprocessing
    assert (larger.size, larger.resize) == (32, 40)


def test_features_on_the_card_are_cut_at(path: Path) -> None:
    logits = onnx.load(str(path)).graph.output[0].name
    path.with_suffix(".toml").write_text(f'features = "{logits}"')
    assert Backbone.open(path).cut.tensor == logits
    found = tiny().features
    assert Backbone.open(path, features=found).cut.tensor == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "not valid TOML"),
        ('colour = "red"', "unknown key 'colour'"),
        ("mean = [127.5, 127.5, 127.5]", "0 to 1"),
        ("mean = [0.5, 0.5]", "."),
        ("mean = [nan, 0.5, 0.5]", "finite"),
        ("mean = 0.5", "."),
        ("std = [0.5, 0.0, 0.5]", "above zero"),
        ("size = 4", "between 8 and 4096"),
        ("size = 100\nresize = 90", "less than the crop"),
        ('interpolation = "nearest"', "bilinear or bicubic"),
        ("licence = 3", "licence must be a text"),
        ('sparsity = "much"', "sparsity must be a number"),
    ],
)
@pytest.mark.parametrize("where", ["beside", "inside"])
def test_a_wrong_card_is_refused_with_the_name_of_its_file(
    text: str, says: str, where: str, path: Path
) -> None:
    if where == "beside":
        path.with_suffix(".toml").write_text(text)
    else:
        metadata(path, text)
    named = r"tiny\.toml" if where == "beside" else r"tiny\.onnx"
    with pytest.raises(BackboneError, match=rf"{named}.*{says}"):
        Backbone.open(path)


def test_a_card_that_is_not_text_is_refused(path: Path) -> None:
    path.with_suffix(".toml").write_bytes(b"name = '\xff\xfe'")
    with pytest.raises(BackboneError, match=r"tiny\.toml"):
        Backbone.open(path)


def test_the_sha256_on_the_card_is_checked(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".toml").write_text(f'sha256 = "{digest}"')
    assert Backbone.open(path).sha256 == digest
    path.with_suffix(".toml").write_text(f'sha256 = "{digest[::-1]}"')
    with pytest.raises(BackboneError, match=rf"tiny\.onnx.*{digest[:12]}"):
        Backbone.open(path)


def test_a_flag_that_makes_no_sense_is_a_usage_error(path: Path) -> None:
    with pytest.raises(UsageError, match="above zero"):
        Backbone.open(path, std=(0, 1, 1))


def test_a_card_written_as_toml_reads_back_equal(path: Path) -> None:
    card = BackboneCard(
        name="Ünïcode “name”",
        preprocessing=Preprocessing(
            size=96,
            resize=110,
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.247, 0.243, 0.261),
            interpolation="bicubic",
        ),
        features="a/b:0",
        dimension=256,
        sparsity=0.9,
        pruning="AC/DC",
        licence="Apache-2.0",
        source="https://example.org/x?a=1",
        sha256="0" * 64,
        parent="f" * 64,
    )
    assert tomllib.loads(card.to_toml())["dimension"] == 256
    path.with_suffix(".toml").write_text(card.to_toml(), encoding="utf-8")
    assert read_card(path, onnx.load(str(path)), 16) == card


def test_what_is_not_known_is_not_written() -> None:
    assert set(tomllib.loads(BackboneCard(name="x").to_toml())) == {
        "name",
        "size",
        "resize",
        "mean",
        "std",
        "interpolation",
    }
