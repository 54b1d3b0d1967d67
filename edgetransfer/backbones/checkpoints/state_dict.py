"""The parameters in a checkpoint, by plain names and with their masks applied.

Training scripts nest: a state dict lies under a key of theirs, DataParallel puts ``module.``
before every name, pruning libraries rename the weight or put a mask beside it. Here a checkpoint
becomes one flat table of paths (``state_dict.encoder_q.conv1.weight``); what in it is a network
is for `match` to find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgetransfer.backbones.checkpoints.restricted import Inert
from edgetransfer.backbones.checkpoints.tensors import LazyTensor
from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import Array

# Under which masks are kept apart from the weights.
MASK_WRAPPERS = frozenset(("masks", "mask", "pruning_masks", "weight_masks"))
# Parts of names that come from wrapping a module, not from the network.
WRAPPING = frozenset(("module", "_layer", "_orig_mod", "_fsdp_wrapped_module"))
# Where a mask of PREFIX.weight stands.
MASK_NAMES = (
    *("{0}.weight_mask", "{0}._weight_mask", "{0}.mask", "{0}._mask", "{0}.weight.mask"),
    *("{0}.mask_weight", "{0}.weight.weight_mask"),
)
BIAS_MASK_NAMES = ("{0}.bias_mask", "{0}._bias_mask")
THRESHOLD = "sparseThreshold"
DEPTH = 12  # of dictionaries in one another, and of a pickled module's children


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter that is read when it is asked for, with its mask or threshold applied.

    Parameters
    ----------
    shape
        Of its values.
    read
        Gives its values.
    masked, thresholded
        Whether it has a mask, or a threshold of STR's.
    """

    shape: tuple[int, ...]
    read: Callable[[], Array]
    masked: bool = False
    thresholded: bool = False


def find_parameters(tree: Any) -> dict[str, Parameter]:
    """Every tensor of a checkpoint by its path, in the order of the file.

    Masks are multiplied in: those of ``torch.nn.utils.prune`` (``weight_orig``, ``weight_mask``),
    of AC/DC's wrapped layers (``_layer.weight``, ``_weight_mask``), and masks kept in a
    dictionary of their own. STR's ``sparseThreshold`` s makes sign(w) max(|w| - sigmoid(s), 0)
    of w (Kusupati et al., "Soft Threshold Weight Reparameterization", ICML 2020, equation 4).
    What is used for that is no parameter of its own.

    Raises
    ------
    BackboneError
        If there are no convolution weights.
    """
    tensors = _plain_paths(dict(_walk(tree, seen=set())))
    if not any(len(value.shape) == 4 for value in tensors.values()):
        raise BackboneError(
            "no weights of convolutions were found; save the network's state_dict() and import that"
        )
    masks, used = _Masks(tensors), set()
    found: dict[str, Parameter] = {}
    for name, value in tensors.items():
        prefix, _, last = name.rpartition(".")
        kind = last.removesuffix("_orig")
        mask = masks.of(prefix, kind)
        threshold = f"{prefix}.{THRESHOLD}" if kind == "weight" else ""
        thresholded = threshold in tensors
        used |= ({mask} if mask else set()) | ({threshold} if thresholded else set())
        plain = f"{prefix}.{kind}" if mask else name
        found[plain] = Parameter(
            shape=tuple(value.shape),
            read=_reader(
                name, value, tensors.get(mask or ""), tensors[threshold] if thresholded else None
            ),
            masked=mask is not None,
            thresholded=thresholded,
        )
    return {name: parameter for name, parameter in found.items() if name not in used}


def soft_threshold(weights: Array, threshold: Array) -> Array:
    """STR's weights: magnitudes less sigmoid(threshold), those below it zero."""
    limit = 0.5 + 0.5 * np.tanh(threshold.astype(np.float64).reshape(-1)[0] / 2)
    kept: Array = np.sign(weights) * np.maximum(np.abs(weights) - limit, 0)
    return kept.astype(weights.dtype)


class _Masks:
    """Finds the mask of a weight or bias among a checkpoint's tensors."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self.tensors = tensors
        self.apart: dict[str, str] = {}  # what follows a mask dictionary's key, to its path
        for name in tensors:
            parts = name.split(".")
            for index, part in enumerate(parts[:-1]):
                if part in MASK_WRAPPERS:
                    self.apart[".".join(parts[index + 1 :])] = name

    def of(self, prefix: str, kind: str) -> str | None:
        """The path of the mask of PREFIX.KIND, if there is one."""
        if kind not in ("weight", "bias"):
            return None
        for pattern in MASK_NAMES if kind == "weight" else BIAS_MASK_NAMES:
            if pattern.format(prefix) in self.tensors:
                return pattern.format(prefix)
        if not self.apart or MASK_WRAPPERS & set(prefix.split(".")):
            return None
        parts = prefix.split(".")
        for start in range(len(parts)):
            tail = ".".join(parts[start:])
            names = (f"{tail}.{kind}", f"{tail}.{kind}_mask", *((tail,) * (kind == "weight")))
            for name in names:
                if name in self.apart:
                    return self.apart[name]
        return None


def _reader(name: str, value: Any, mask: Any | None, threshold: Any | None) -> Callable[[], Array]:
    def read() -> Array:
        array = _array(value)
        if mask is not None:
            array = _apply(array, _array(mask), name)
        return array if threshold is None else soft_threshold(array, _array(threshold))

    return read


def _is_tensor(value: Any) -> bool:
    return isinstance(value, LazyTensor | np.ndarray)


def _array(value: Any) -> Array:
    return value.array() if isinstance(value, LazyTensor) else np.asarray(value)


def _walk(
    tree: Any, path: str = "", depth: int = DEPTH, *, seen: set[int]
) -> Iterator[tuple[str, Any]]:
    """Path and value of every tensor in dictionaries and whole pickled modules.

    A dictionary that is there twice is walked once, or a small file could hold endless ones.
    """
    if _is_tensor(tree):
        yield path, tree
    elif isinstance(tree, Inert) and depth:
        for kept in ("_parameters", "_buffers", "_modules"):
            values = tree.state.get(kept) if isinstance(tree.state, Mapping) else None
            yield from _walk(values, path, depth, seen=seen)
    elif isinstance(tree, Mapping) and depth and id(tree) not in seen:
        seen.add(id(tree))
        for key, value in tree.items():
            yield from _walk(value, f"{path}.{key}" if path else str(key), depth - 1, seen=seen)


def _plain_paths(tensors: dict[str, Any]) -> dict[str, Any]:
    """Without the parts that come from wrapping, where that makes no two paths one."""
    plain: dict[str, list[str]] = {}
    for name in tensors:
        plain.setdefault(_plain(name), []).append(name)
    return {
        short if len(names) == 1 else name: tensors[name]
        for short, names in plain.items()
        for name in names
    }


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPING)


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
