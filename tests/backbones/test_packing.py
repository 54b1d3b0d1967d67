"""Packed backbones: byte for byte what they were made of, and never anything else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
from typing import Literal

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from edgetransfer.backbones import Backbone, BackboneCard, catalogue
from edgetransfer.backbones.packing import MAGIC, pack, unpack
from edgetransfer.backbones.rounding import as_steps, from_steps, rounded
from edgetransfer.errors import BackboneError
from tests.graphs_made import tiny

Form = Literal["float32", "float16", "steps"]


def content_of(*, sparsity: float = 0.8, seed: int = 0, form: Form = "steps") -> bytes:
    model = tiny(sparsity=sparsity, seed=seed).model
    if form != "float32":
        model = rounded(model, integers=form == "steps")
    return model.SerializeToString()


@pytest.mark.parametrize("form", ["float32", "float16", "steps"])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 1.0])
def test_what_is_unpacked_is_what_was_packed(sparsity: float, form: Form) -> None:
    content = content_of(sparsity=sparsity, form=form)
    assert unpack(pack(content)) == content


@given(
    st.lists(
        st.lists(
            st.one_of(
                st.sampled_from([0.0, -0.0, 1.0, 65504.0, 6e-8, 1e-30, 1e30, float("nan")]),
                st.floats(width=16),
                st.floats(width=32),
            ),
            max_size=200,
        ),
        max_size=5,
    )
)
def test_any_values_come_back_to_the_bit(tensors: list[list[float]]) -> None:
    model = tiny().model
    for index, values in enumerate(tensors):
        # Whatever a protobuf writer may repeat, the same values twice included.
        for name in (f"a{index}", f"b{index}"):
            array = np.array(values, np.float32)
            model.graph.initializer.append(numpy_helper.from_array(array, name))
    content = model.SerializeToString()
    assert unpack(pack(content)) == content


def test_a_sparse_file_is_packed_to_a_fraction() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(200_000).astype(np.float32)
    values[rng.random(200_000) < 0.7] = 0
    model = tiny().model
    model.graph.initializer.append(numpy_helper.from_array(values, "large"))
    content = rounded(model).SerializeToString()
    # A bit for each value and two bytes for 30 % of them: 0.725 bytes of 4.
    assert len(pack(content)) < 0.2 * len(content)


def test_rounding_keeps_zeros_and_refuses_what_does_not_fit() -> None:
    model = tiny(sparsity=0.5).model
    for before, after in zip(
        model.graph.initializer, rounded(model).graph.initializer, strict=True
    ):
        a, b = numpy_helper.to_array(before), numpy_helper.to_array(after)
        np.testing.assert_array_equal(a == 0, b == 0)
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-7)
    huge = numpy_helper.from_array(np.array([1e6], np.float32), "huge")
    model.graph.initializer.append(huge)
    with pytest.raises(BackboneError, match="huge"):
        rounded(model)


@given(
    st.integers(1, 5),
    st.integers(64, 90),
    st.integers(0, 2**32 - 1),
    st.floats(-40, 12),
    st.sampled_from([0.0, 0.5, 0.99]),
)
def test_weights_become_multiples_of_a_step_and_are_found_as_such(
    rows: int, columns: int, seed: int, power: float, sparsity: float
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((rows, columns)) * 2.0 ** (power + rng.integers(-3, 4, (rows, 1)))
    values = np.where(rng.random(values.shape) < sparsity, 0, values).astype(np.float32)
    model = tiny().model
    model.graph.initializer.append(numpy_helper.from_array(values, "weights"))
    after = rounded(model, integers=True)
    found = numpy_helper.to_array(after.graph.initializer[-1])
    steps = np.abs(values).max(axis=1, keepdims=True) / 127
    assert (np.abs(found - values) <= 0.501 * steps * (1 + 2**-10)).all()
    assert (found[values == 0] == 0).all()
    multiples = as_steps(found)
    assert multiples is not None
    assert np.abs(multiples[1]).max(initial=0) <= 127
    np.testing.assert_array_equal(from_steps(*multiples), found)
    content = after.SerializeToString()
    assert unpack(pack(content)) == content


def test_eight_bits_take_less_than_sixteen() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((400, 500)).astype(np.float32)
    values[rng.random(values.shape) < 0.5] = 0
    model = tiny().model
    model.graph.initializer.append(numpy_helper.from_array(values, "large"))
    sizes = [len(pack(rounded(model, integers=i).SerializeToString())) for i in (False, True)]
    # An eighth of a byte for each value, and for half of them one byte, and not two; the high bytes
    # of float16 are coded well too.
    assert sizes[1] < (0.125 + 0.5) * values.size
    assert sizes[1] < 0.65 * sizes[0]


@given(st.data())
def test_damage_is_found_whatever_it_hits(data: st.DataObject) -> None:
    content = content_of()
    packed = bytearray(pack(content))
    how = data.draw(st.sampled_from(["bit", "cut", "longer", "header"]))
    if how == "bit":
        at = data.draw(st.integers(0, len(packed) - 1))
        packed[at] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "cut":
        del packed[data.draw(st.integers(0, len(packed) - 1)) :]
    elif how == "longer":
        packed += b"\0"
    else:
        (length,) = struct.unpack_from("<I", packed, len(MAGIC))
        header = json.loads(packed[len(MAGIC) + 4 : len(MAGIC) + 4 + length])
        name = data.draw(st.sampled_from(["size", "tensors", "parts", "sha256"]))
        value = st.one_of(st.integers(-5, 1 << 62), st.none(), st.lists(st.integers(-5, 1 << 40)))
        header[name] = data.draw(value)
        text = json.dumps(header).encode()
        packed = bytearray(MAGIC + struct.pack("<I", len(text)) + text) + packed[12 + length :]
    found = None
    with contextlib.suppress(BackboneError):
        found = unpack(bytes(packed))
    assert found in (None, content)  # a bit of the header that means nothing changes nothing


def test_a_newer_version_is_named() -> None:
    with pytest.raises(BackboneError, match="another version"):
        unpack(MAGIC[:7] + b"\x09" + pack(content_of())[8:])


def test_a_file_whose_weights_lie_elsewhere_has_nothing_to_pack(tmp_path) -> None:
    model = tiny().model
    onnx.save(model, str(tmp_path / "net.onnx"), save_as_external_data=True, size_threshold=0)
    content = (tmp_path / "net.onnx").read_bytes()
    assert unpack(pack(content)) == content


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of models with one packed backbone in it, and an empty cache."""
    folder = tmp_path / "models" / "small-80"
    folder.mkdir(parents=True)
    content = content_of()
    (folder / "small-80.etpack").write_bytes(pack(content))
    card = BackboneCard(name="small-80", sha256=hashlib.sha256(content).hexdigest())
    (folder / "small-80.toml").write_text(card.to_toml())
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path / "models")
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(tmp_path / "cache"))
    return folder, content


def test_a_packed_backbone_is_taken_by_its_name_and_expanded_once(shelf) -> None:
    _, content = shelf
    path = catalogue.resolve("small-80")
    assert path.read_bytes() == content
    assert Backbone.open("small-80").name == "small-80"
    written = path.stat().st_mtime_ns
    assert catalogue.resolve("Small_80") == path
    assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize("part", ["network", "card"])
def test_what_was_changed_in_the_cache_is_made_anew(shelf, part) -> None:
    folder, content = shelf
    path = catalogue.resolve("small-80")
    victim = path if part == "network" else path.with_suffix(".toml")
    victim.write_bytes(victim.read_bytes()[:-7])
    assert catalogue.resolve("small-80").read_bytes() == content
    assert path.with_suffix(".toml").read_bytes() == (folder / "small-80.toml").read_bytes()


def test_a_damaged_bundle_is_named(shelf) -> None:
    folder, _ = shelf
    packed = folder / "small-80.etpack"
    packed.write_bytes(packed.read_bytes()[:-7])
    with pytest.raises(BackboneError, match=r"small-80\.etpack: is damaged.*install"):
        catalogue.resolve("small-80")


def test_a_cache_that_cannot_be_written_is_named(shelf, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(tmp_path / "file"))
    with pytest.raises(BackboneError, match="EDGETRANSFER_CACHE"):
        catalogue.resolve("small-80")
