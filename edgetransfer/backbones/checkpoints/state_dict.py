"""The state dict in a checkpoint, under plain names and with its masks applied.

Wrappers differ: training scripts put the state dict under a key of theirs, DataParallel puts
``module.`` before every name, pruning libraries rename the weight or put a mask beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgetransfer.backbones.checkpoints.restricted import Inert
from edgetransfer.backbones.checkpoints.tensors import LazyTensor
from edgetransfer.backbones.graph import Array
from edgetransfer.errors import BackboneError

# Under which training scripts keep the state dict; the first that is there counts.
WRAPPERS = ("model_state_dict", "state_dict", "model", "net", "network", "state_dict_ema")
MASK_WRAPPERS = ("masks", "mask", "pruning_masks", "weight_masks")
# Parts of names that come from wrapping a module, not from the network.
WRAPPING = frozenset(("module", "_layer", "_orig_mod", "_fsdp_wrapped_module"))
# Where a mask of PREFIX.weight stands.
MASK_NAMES = (
    *("{0}.weight_mask", "{0}._weight_mask", "{0}.mask", "{0}._mask", "{0}.weight.mask"),
    *("{0}.mask_weight", "{0}.weight.weight_mask", "mask.{0}.weight", "mask.{0}"),
)
THRESHOLD = "sparseThreshold"
DEPTH = 4


@dataclass(frozen=True, kw_only=True)
class StateDict:
    """Parameters by plain names, in the order of the file.

    Parameters
    ----------
    parameters
        Weights with their masks and thresholds applied.
    masked, thresholded
        How many weights had a mask, or a threshold of STR's.
    """

    parameters: dict[str, Array]
    masked: int
    thresholded: int


def find_state(tree: Any) -> StateDict:
    """The state dict in a checkpoint's tree.

    Masks are multiplied in: those of ``torch.nn.utils.prune`` (``weight_orig``, ``weight_mask``),
    of AC/DC's wrapped layers (``_layer.weight``, ``_weight_mask``), and masks kept in a
    dictionary of their own. STR's ``sparseThreshold`` s makes sign(w) max(|w| - sigmoid(s), 0)
    of w (Kusupati et al., "Soft Threshold Weight Reparameterization", ICML 2020, equation 4).

    Raises
    ------
    BackboneError
        If there are no convolution weights, or a mask does not fit its weights.
    """
    state = _choose(tree)
    if state is None:
        raise BackboneError(
            "no weights of convolutions were found; save the network's state_dict() and import that"
        )
    plain = {_plain(name): value for name, value in state.items()}
    masks = _plain_masks(tree)
    parameters: dict[str, Array] = {}
    masked = thresholded = 0
    for name, value in plain.items():
        prefix, _, last = name.rpartition(".")
        kind = last.removesuffix("_orig")
        if kind not in ("weight", "bias", "running_mean", "running_var"):
            continue
        array = _array(value)
        mask = _mask_for(prefix, kind, plain, masks)
        if mask is not None:
            array = _apply(array, mask, name)
            masked += kind == "weight"
        if kind == "weight" and f"{prefix}.{THRESHOLD}" in plain:
            array = soft_threshold(array, _array(plain[f"{prefix}.{THRESHOLD}"]))
            thresholded += 1
        parameters[f"{prefix}.{kind}"] = array
    return StateDict(parameters=parameters, masked=masked, thresholded=thresholded)


def soft_threshold(weights: Array, threshold: Array) -> Array:
    """STR's weights: magnitudes less sigmoid(threshold), those below it zero."""
    limit = 0.5 + 0.5 * np.tanh(threshold.astype(np.float64).reshape(-1)[0] / 2)
    kept: Array = np.sign(weights) * np.maximum(np.abs(weights) - limit, 0)
    return kept.astype(weights.dtype)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, LazyTensor | np.ndarray)


def _array(value: Any) -> Array:
    return value.array() if isinstance(value, LazyTensor) else np.asarray(value)


def _kernels(state: Mapping[Any, Any]) -> int:
    """How many weights of convolutions a dictionary has."""
    return sum(
        isinstance(name, str) and _is_tensor(value) and len(value.shape) == 4
        for name, value in state.items()
    )


def _dictionaries(tree: Any, depth: int = DEPTH) -> Iterator[Mapping[Any, Any]]:
    if isinstance(tree, Inert):
        tree = _flattened(tree)
    if isinstance(tree, Mapping):
        yield tree
        if depth:
            for value in tree.values():
                yield from _dictionaries(value, depth - 1)


def _flattened(module: Inert, prefix: str = "", depth: int = 12) -> dict[str, Any]:
    """The state dict of a whole pickled module, from what it keeps in its attributes."""
    found: dict[str, Any] = {}
    if not isinstance(module.state, Mapping) or not depth:
        return found
    for kept in ("_parameters", "_buffers"):
        values = module.state.get(kept)
        if isinstance(values, Mapping):
            found |= {f"{prefix}{name}": v for name, v in values.items() if _is_tensor(v)}
    children = module.state.get("_modules")
    for name, child in children.items() if isinstance(children, Mapping) else ():
        if isinstance(child, Inert):
            found |= _flattened(child, f"{prefix}{name}.", depth - 1)
    return found


def _choose(tree: Any) -> dict[str, Any] | None:
    """The dictionary that is the state dict: under a usual key, or the one of most kernels."""
    if isinstance(tree, Mapping):
        for key in WRAPPERS:
            inner = [d for d in _dictionaries(tree.get(key)) if _kernels(d)]
            if inner:
                return _tensors(max(inner, key=_kernels))
    found = [d for d in _dictionaries(tree) if _kernels(d)]
    return _tensors(max(found, key=_kernels)) if found else None


def _tensors(state: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: v for name, v in state.items() if isinstance(name, str) and _is_tensor(v)}


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPING)


def _plain_masks(tree: Any) -> dict[str, Any]:
    """Masks that a checkpoint keeps apart from the state dict, by plain names."""
    if not isinstance(tree, Mapping):
        return {}
    for key in MASK_WRAPPERS:
        if isinstance(tree.get(key), Mapping):
            return {_plain(name): value for name, value in _tensors(tree[key]).items()}
    return {}


def _mask_for(
    prefix: str, kind: str, plain: Mapping[str, Any], masks: Mapping[str, Any]
) -> Array | None:
    if kind == "bias":
        names: tuple[str, ...] = (f"{prefix}.bias_mask", f"{prefix}._bias_mask")
    elif kind == "weight":
        names = tuple(pattern.format(prefix) for pattern in MASK_NAMES)
    else:
        return None
    for name in names:
        if name in plain:
            return _array(plain[name])
    for name in (f"{prefix}.{kind}", f"{prefix}.{kind}_mask", *((prefix,) * (kind == "weight"))):
        if name in masks:
            return _array(masks[name])
    return None


def _apply(weights: Array, mask: Array, name: str) -> Array:
    if mask.size == weights.size:
        mask = mask.reshape(weights.shape)
    elif mask.ndim != weights.ndim or any(
        m not in (1, w) for m, w in zip(mask.shape, weights.shape, strict=True)
    ):
        raise BackboneError(
            f"the mask of {name!r} has shape {mask.shape}, its weights have {weights.shape}"
        )
    # Not a product alone: what is masked may be infinite or not a number.
    kept: Array = np.where(mask == 0, 0, weights * mask)
    return kept.astype(weights.dtype)
