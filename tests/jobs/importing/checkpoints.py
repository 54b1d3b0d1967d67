"""Checkpoints of every naming scheme, in the wrappings of common trainers."""

from __future__ import annotations

import numpy as np

from edgetransfer.backbones.architectures import ARCHITECTURES
from edgetransfer.backbones.checkpoints.naming import SCHEMES

ALL = [scheme for schemes in SCHEMES.values() for scheme in schemes]
CLASSES = 7


def state_dict(scheme, *, classes=CLASSES, table=None):
    """A state dict with a scheme's names; every value of a parameter is its place in the file."""
    table = table or ARCHITECTURES[scheme.architecture]
    shapes = {}
    for name, shape in table.parameter_shapes().items():
        prefix, _, last = name.rpartition(".")
        shapes[f"{scheme.spell(prefix)}.{last}"] = shape
    for layer in (layer for layer in table.convolutions if layer.norm):
        norm = scheme.spell(layer.norm)
        shapes[f"{norm}.running_mean"] = shapes[f"{norm}.running_var"] = (layer.outputs,)
        shapes[f"{norm}.num_batches_tracked"] = ()
    if classes:
        shapes[f"{scheme.classifier}.weight"] = (classes, table.dimension)
        shapes[f"{scheme.classifier}.bias"] = (classes,)
    return {
        name: np.broadcast_to(np.float32(place + 1), shape)
        for place, (name, shape) in enumerate(shapes.items())
    }


def own_names(scheme, state, classes, table=None):
    """The parameters of a state dict under the architecture's own names."""
    table = table or ARCHITECTURES[scheme.architecture]
    norms = [layer.norm for layer in table.convolutions if layer.norm]
    names = [*table.parameter_shapes()]
    names += [f"{norm}.{part}" for norm in norms for part in ("running_mean", "running_var")]
    found = {}
    for name in names:
        prefix, _, last = name.rpartition(".")
        found[name] = state[f"{scheme.spell(prefix)}.{last}"]
    for part in ("weight", "bias") if classes else ():
        found[f"{table.classifier}.{part}"] = state[f"{scheme.classifier}.{part}"]
    return found


def put(prefix, state):
    return {f"{prefix}{name}": value for name, value in state.items()}


def without(scheme, state):
    """The state dict without its classifier."""
    return {k: v for k, v in state.items() if not k.startswith(f"{scheme.classifier}.")}


def other(state):
    """A second copy with other values."""
    return {name: np.broadcast_to(-value.flat[0], value.shape) for name, value in state.items()}


ONE = {"0.weight": np.ones((64, 512), np.float32)}
MLP = {"0.weight": np.ones((64, 512), np.float32), "2.weight": np.ones((8, 64), np.float32)}

# Each takes the whole state dict and the one without a classifier; whether the classifier is to
# be found is the second part.
WRAPPINGS = {
    "plain": (lambda s, _: s, True),
    "trainer": (lambda s, _: {"epoch": 3, "state_dict": s, "optimizer": {"state": {}}}, True),
    "data parallel": (lambda s, _: {"model": put("module.", s)}, True),
    "compiled": (lambda s, _: put("_orig_mod.module.", s), True),
    "average": (
        lambda s, _: {"state_dict_ema": other(s), "state_dict": s, "optimizer": {}},
        True,
    ),
    "average alone": (lambda s, _: {"model_ema": s, "decay": 0.9}, True),
    "lightning": (
        lambda s, _: {
            "state_dict": {**put("model.", s), "criterion.weight": np.ones(CLASSES)},
            "optimizer_states": [{}],
        },
        True,
    ),
    "mmpretrain": (
        lambda s, b: {
            "meta": {},
            "state_dict": {
                **put("backbone.", b),
                **{f"head.fc.{k.rpartition('.')[2]}": s[k] for k in list(s)[len(b) :]},
            },
        },
        None,  # its head stands under a name that is not the scheme's
    ),
    "moco": (
        lambda _, b: {
            "state_dict": {
                **put("module.encoder_k.", other(b)),
                **put("module.encoder_q.", b),
                **put("module.encoder_q.fc.", MLP),
                "module.queue": np.zeros((8, 64)),
            }
        },
        False,
    ),
    "simsiam": (
        lambda _, b: {"state_dict": {**put("module.encoder.", b), **put("module.predictor.", MLP)}},
        False,
    ),
    "dino": (
        lambda _, b: {
            "student": {**put("module.backbone.", other(b)), **put("module.head.mlp.", MLP)},
            "teacher": {**put("backbone.", b), **put("head.mlp.", MLP)},
        },
        False,
    ),
    # Heads of one layer, which might be taken for classifiers.
    "simsiam, one layer": (
        lambda _, b: {"state_dict": {**put("module.encoder.", b), **put("module.predictor.", ONE)}},
        False,
    ),
    "dino, one layer": (
        lambda _, b: {
            "student": {**put("module.backbone.", other(b)), **put("module.head.mlp.", ONE)},
            "teacher": {**put("backbone.", b), **put("head.mlp.", ONE)},
        },
        False,
    ),
    "moco, one layer": (
        lambda _, b: {**put("encoder_q.", b), **put("encoder_q.projector.", ONE)},
        False,
    ),
    "byol": (
        lambda _, b: {
            "target_encoder": other(b),
            **put("online_encoder.net.", b),
            **put("online_encoder.projector.net.", MLP),
        },
        False,
    ),
    "detector": (
        lambda _, b: {**put("backbone.body.", b), "rpn.conv.weight": np.ones((4, 4, 3, 3))},
        False,
    ),
}
