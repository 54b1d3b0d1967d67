"""Whatever a network is wrapped in, it is imported exactly, or what is in the way is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgetransfer.backbones.architectures import ARCHITECTURES
from edgetransfer.backbones.checkpoints import find_parameters, match
from edgetransfer.backbones.checkpoints.naming import SCHEMES
from edgetransfer.errors import BackboneError, UsageError
from tests.jobs.importing.checkpoints import ALL, CLASSES, WRAPPINGS, own_names, state_dict, without

STATES = {scheme: state_dict(scheme) for scheme in ALL}


def recognised(scheme, wrapping, state):
    """What `match` makes of a wrapped state dict, under the scheme that it is to find."""
    tree = WRAPPINGS[wrapping][0](state, without(scheme, state))
    # Schemes that spell alike are told apart by the file's name, or by the person.
    alike = [s.name for s in SCHEMES[scheme.architecture] if twins(s, scheme)]
    return match(
        find_parameters(tree),
        scheme=scheme.name if len(alike) > 1 else None,
        file="checkpoint.pth",
    )


def twins(first, second):
    return STATES[first].keys() == STATES[second].keys()


def assert_same(value, expected):
    """Of arrays that have one value throughout, and another in each parameter."""
    assert (value.shape, value.flat[0]) == (expected.shape, expected.flat[0])


def assert_exact(found, scheme, state, classes):
    assert found.architecture.name == scheme.architecture
    assert found.scheme.conventions == scheme.conventions == found.architecture.conventions
    assert found.scheme.card == scheme.card
    expected = own_names(scheme, state, bool(found.classes))
    assert found.parameters.keys() == expected.keys()
    for name, value in expected.items():
        assert_same(found.parameters[name], value)
    if classes is not None:
        assert found.classes == (CLASSES if classes else 0)


@pytest.mark.parametrize("scheme", ALL, ids=lambda s: f"{s.architecture}, {s.name}")
def test_every_scheme_is_recognised(scheme):
    state = STATES[scheme]
    found = recognised(scheme, "plain", state)
    assert found.scheme is scheme
    assert_exact(found, scheme, state, classes=True)
    assert (found.left, found.root, found.widths) == ((), "", 0)


any_scheme = st.sampled_from(ALL)
any_wrapping = st.sampled_from(sorted(WRAPPINGS))


@settings(max_examples=10, deadline=None)
@given(any_scheme, any_wrapping, st.randoms(use_true_random=False))
def test_every_wrapping_and_any_order(scheme, wrapping, random):
    names = list(STATES[scheme])
    state = STATES[scheme]
    if wrapping != "mmpretrain":  # it takes its head from the end
        random.shuffle(names)
        state = {name: state[name] for name in names}
    found = recognised(scheme, wrapping, state)
    assert_exact(found, scheme, state, WRAPPINGS[wrapping][1])


def squeeze_excitation(block, channels):
    return {
        f"{block}.attention.fc1.weight": np.ones((max(1, channels // 16), channels)),
        f"{block}.attention.fc2.weight": np.ones((channels, max(1, channels // 16))),
    }


ADDED = {
    "a squeeze and excitation": squeeze_excitation,
    "ECA": lambda block, _: {f"{block}.eca.conv.weight": np.ones((1, 1, 3))},
    "PReLU": lambda block, channels: {f"{block}.prelu.weight": np.ones(channels)},
    "a layer scale": lambda block, channels: {f"{block}.gamma": np.ones(channels)},
    "a convolution": lambda block, channels: {
        f"{block}.conv9.weight": np.ones((channels, channels, 1, 1))
    },
    "a fully connected layer": lambda block, channels: {
        f"{block}.linear.weight": np.ones((5, channels))
    },
}


@settings(max_examples=10, deadline=None)
@given(any_scheme, any_wrapping, st.sampled_from(sorted(ADDED)), st.data())
def test_what_is_added_is_refused_by_name(scheme, wrapping, kind, data):
    state = STATES[scheme]
    layers = list(ARCHITECTURES[scheme.architecture].convolutions)
    layer = data.draw(st.sampled_from(layers[1:-1]))
    block = scheme.spell(layer.name).rpartition(".")[0]
    added = ADDED[kind](block, layer.outputs)
    assume(not added.keys() & state.keys())  # as a ConvNeXt's own layer scale
    more = dict(list(added.items()) + list(state.items()))
    with pytest.raises(BackboneError) as caught:
        recognised(scheme, wrapping, more)
    assert next(iter(added)) in str(caught.value)


@settings(max_examples=10, deadline=None)
@given(any_scheme, any_wrapping, st.data())
def test_what_is_missing_is_named(scheme, wrapping, data):
    state = dict(STATES[scheme])
    body = [name for name in without(scheme, state) if not name.endswith("num_batches_tracked")]
    gone = data.draw(st.sampled_from(body[1:]))
    del state[gone]
    with pytest.raises(BackboneError) as caught:
        recognised(scheme, wrapping, state)
    assert gone in str(caught.value)


@settings(max_examples=10, deadline=None)
@given(any_scheme, any_wrapping, st.data())
def test_a_shape_that_does_not_fit_is_named(scheme, wrapping, data):
    state = dict(STATES[scheme])
    body = [name for name, value in without(scheme, state).items() if value.ndim]
    name = data.draw(st.sampled_from(body))
    shape = list(state[name].shape)
    axis = data.draw(st.integers(0, len(shape) - 1))
    shape[axis] += 2
    state[name] = np.broadcast_to(np.float32(1), shape)
    with pytest.raises(BackboneError, match=r"shape|channels") as caught:
        recognised(scheme, wrapping, state)
    # The first layer that notices is named, as the file names it.
    assert any(other in str(caught.value) for other in body)


def test_heads_of_trainers_are_left_and_named():
    (scheme,) = [s for s in SCHEMES["resnet18"] if s.name == "torchvision"]
    found = recognised(scheme, "moco", STATES[scheme])
    assert found.root == "state_dict.encoder_q"
    assert set(found.left) == {
        *("state_dict.encoder_k", "state_dict.encoder_q.fc", "state_dict.queue")
    }
    assert recognised(scheme, "dino", STATES[scheme]).root == "teacher.backbone"


def test_projections_of_trainers_are_no_classifiers():
    # As wide as the features, so that they might be: they are left, and named.
    (scheme,) = [s for s in SCHEMES["resnet18"] if s.name == "torchvision"]
    for wrapping, left in (
        ("simsiam, one layer", "state_dict.predictor"),
        ("dino, one layer", "teacher.head"),
        ("moco, one layer", "encoder_q.projector"),
    ):
        found = recognised(scheme, wrapping, STATES[scheme])
        assert found.classes == 0
        assert left in found.left


def test_two_layers_behind_the_pooling_are_no_classifier():
    (scheme,) = [s for s in SCHEMES["resnet18"] if s.name == "torchvision"]
    more = {**STATES[scheme], "head.weight": np.ones((512, 512))}
    found = recognised(scheme, "plain", more)
    assert (found.classes, set(found.left)) == (0, {"fc", "head"})


def test_names_that_two_networks_share_are_asked_about():
    tf, own = (s for s in SCHEMES["efficientnet_b0"] if s.name.startswith("timm"))
    parameters = find_parameters(STATES[own])
    with pytest.raises(BackboneError, match=r"--scheme 'timm, trained in .*--scheme 'timm'"):
        match(parameters, file="model.pth")
    assert match(parameters, file="tf_efficientnet_b0_ns-c0e6a31c.pth").scheme is tf
    assert match(parameters, file="efficientnet_b0_ra-3dd342df.pth").scheme is own
    assert match(parameters, file="model.pth", scheme="timm").scheme is own


def test_every_architecture_has_schemes_and_unknown_ones_are_told():
    assert SCHEMES.keys() == ARCHITECTURES.keys()
    parameters = find_parameters(STATES[ALL[0]])
    with pytest.raises(UsageError, match=r"called 'Timm'; known are: torchvision, .*timm"):
        match(parameters, scheme="Timm")


def test_norms_without_scale_are_such_throughout():
    (scheme,) = [s for s in SCHEMES["mobilenet_v1"] if s.name == "timm"]
    bare = {
        name: value
        for name, value in STATES[scheme].items()
        if not (".bn" in f".{name}" and name.endswith((".weight", ".bias")))
    }
    assert "model.3.4.weight" not in recognised(scheme, "plain", bare).parameters
    with pytest.raises(BackboneError, match=r"bn1\.(weight|bias)' is missing"):
        recognised(scheme, "plain", {**bare, "blocks.1.0.bn2.weight": np.ones(128)})


# The published widths of MobileNetV1 at half the multiply-adds (He et al., AMC, 2018).
AMC = (24, 48, 96, 80, 192, 200, 328, 352, 368, 360, 328, 400, 736, 752)


@settings(max_examples=5, deadline=None)
@given(st.sampled_from(SCHEMES["mobilenet_v1"]), any_wrapping)
def test_channel_pruned_networks_are_recognised(scheme, wrapping):
    channels, layers = 3, []
    for place, layer in enumerate(ARCHITECTURES["mobilenet_v1"].layers):
        width = channels if layer.depthwise else AMC[(place + 1) // 2]
        groups = channels if layer.depthwise else 1
        layers.append(replace(layer, inputs=channels, outputs=width, groups=groups))
        channels = width
    table = replace(ARCHITECTURES["mobilenet_v1"], layers=tuple(layers))
    state = state_dict(scheme, table=table)
    found = recognised(scheme, wrapping, state)
    assert found.architecture == table.under(scheme.conventions)
    assert found.widths == len(layers)
    expected = own_names(scheme, state, bool(found.classes), table)
    assert found.parameters.keys() == expected.keys()
    for name, value in expected.items():
        assert_same(found.parameters[name], value)


@pytest.mark.parametrize("file", ["resnetblur18-84f4748f.pth", "resnetaa18_a1h.pth"])
def test_networks_of_the_same_parameters_are_refused_by_their_file_s_name(file):
    (scheme,) = [s for s in SCHEMES["resnet18"] if s.name == "torchvision"]
    with pytest.raises(BackboneError, match="compute something else with them"):
        match(find_parameters(STATES[scheme]), file=file)
