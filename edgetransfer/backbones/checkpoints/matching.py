"""Which architecture a state dict is of, and its parameters under that architecture's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgetransfer.backbones.architectures import ARCHITECTURES, Architecture, ConvLayer
from edgetransfer.backbones.checkpoints.naming import SCHEMES, Scheme
from edgetransfer.backbones.graph import Array
from edgetransfer.errors import BackboneError

BY_ORDER = ("mobilenet_v1", "mobilenet_v2")  # chains: order alone says which layer is which
NORM_PARTS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True, kw_only=True)
class Match:
    """A state dict recognised.

    Parameters
    ----------
    architecture
        What it is of.
    naming
        Whose names the parameters have.
    parameters
        Under the architecture's own names, ready for `build`.
    classes
        Outputs of the classifier, 0 if there is none.
    """

    architecture: Architecture
    naming: str
    parameters: dict[str, Array]
    classes: int


@dataclass(frozen=True)
class _Miss:
    fitting: int
    of: int
    table: Architecture
    reason: str


def match(
    parameters: Mapping[str, Array], wanted: Architecture | None = None, *, ordered: bool = False
) -> Match:
    """Recognise a state dict by its names and shapes.

    Parameters
    ----------
    parameters
        By plain names, as `find_state` gives them.
    wanted
        The only architecture to try; all if None.
    ordered
        Whether the parameters come in the order in which the network was written down, as a
        torch checkpoint has them: it tells the layers of a chain apart where names do not.

    Raises
    ------
    BackboneError
        If no architecture fits; it names the nearest and the first parameter that does not fit.
    """
    misses: list[_Miss] = []
    for names in _spellings(parameters):
        for table in [wanted] if wanted is not None else ARCHITECTURES.values():
            for scheme in SCHEMES[table.name]:
                found = _by_names(names, table, scheme)
                if isinstance(found, Match):
                    return found
                misses.append(found)
    for names in _spellings(parameters):
        for chain in BY_ORDER:
            if ordered and (wanted is None or wanted.name == chain):
                placed = _by_order(names, ARCHITECTURES[chain])
                if placed is not None:
                    return placed
    nearest = max(misses, key=lambda miss: miss.fitting)
    known = ", ".join(ARCHITECTURES)
    near = (
        f"; the nearest is {nearest.table.name}, of whose {nearest.of} convolutions "
        f"{nearest.fitting} fit, but {nearest.reason}"
        if nearest.fitting > 0
        else ""
    )
    raise BackboneError(
        f"the weights are of no architecture that is known here ({known}){near}. Other networks: "
        "export them to ONNX, and import that"
    )


def _spellings(parameters: Mapping[str, Array]) -> list[Mapping[str, Array]]:
    """The parameters as they are, and without the prefixes that all of them share."""
    found = [parameters]
    while parameters and len({name.partition(".")[0] for name in parameters}) == 1:
        parameters = {name.partition(".")[2]: value for name, value in parameters.items()}
        if "" in parameters:
            break
        found.append(parameters)
    return found


def _kernels(parameters: Mapping[str, Array], table: Architecture) -> list[str]:
    """The prefixes of all convolutions but a classifier's, in the file's order."""
    weights = {
        name.removesuffix(".weight"): value
        for name, value in parameters.items()
        if value.ndim == 4 and name.endswith(".weight")
    }
    norms = sum(name.endswith(".running_mean") for name in parameters)
    # STR's classifier is a 1x1 convolution: nothing normalises it.
    if norms == len(weights) - 1:
        ends = [
            prefix
            for prefix, value in weights.items()
            if value.shape[1:] == (table.dimension, 1, 1) and "." not in prefix
        ]
        if len(ends) == 1:
            del weights[ends[0]]
    return list(weights)


def _by_names(
    parameters: Mapping[str, Array], table: Architecture, scheme: Scheme
) -> Match | _Miss:
    layers = list(table.convolutions)
    fitting, reason = 0, ""
    renamed: dict[str, tuple[str, str]] = {}
    for layer in layers:
        name = f"{scheme.spell(layer.name)}.weight"
        renamed[layer.name] = (scheme.spell(layer.name), scheme.spell(layer.norm))
        if name not in parameters:
            reason = reason or f"{name!r} is missing"
        elif parameters[name].shape != layer.shape:
            shape = parameters[name].shape
            reason = reason or f"{name!r} has shape {shape}, not {layer.shape}"
        else:
            fitting += 1
    used = {conv for conv, _ in renamed.values()}
    others = [prefix for prefix in _kernels(parameters, table) if prefix not in used]
    if others and not reason:
        reason = f"there are more convolutions ({len(others)}), such as {others[0]!r}"
        fitting -= len(others)  # a shallower network of the same family fits just as well
    if reason:
        return _Miss(fitting, len(layers), table, reason)
    return _matched(parameters, table, scheme.name, renamed)


def _by_order(parameters: Mapping[str, Array], table: Architecture) -> Match | None:
    """A chain whose names are not known: convolutions and batch-norms in the order of the file."""
    layers, kernels = list(table.convolutions), _kernels(parameters, table)
    norms = [
        name.removesuffix(".running_mean") for name in parameters if name.endswith(".running_mean")
    ]
    if len(kernels) != len(layers) or len(norms) not in (0, len(layers)):
        return None
    norms = norms or [""] * len(layers)
    renamed: dict[str, tuple[str, str]] = {}
    for layer, kernel, norm in zip(layers, kernels, norms, strict=True):
        if parameters[f"{kernel}.weight"].shape != layer.shape:
            return None
        if norm and parameters[f"{norm}.running_mean"].shape != (layer.outputs,):
            return None
        renamed[layer.name] = (kernel, norm)
    return _matched(parameters, table, "unknown names, by the order of the file", renamed)


def _matched(
    parameters: Mapping[str, Array],
    table: Architecture,
    naming: str,
    renamed: Mapping[str, tuple[str, str]],
) -> Match:
    found: dict[str, Array] = {}
    for layer in table.convolutions:
        found |= _layer(parameters, layer, *renamed[layer.name])
    used = {prefix for pair in renamed.values() for prefix in pair}
    classes = 0
    for name, value in parameters.items():
        prefix, _, last = name.rpartition(".")
        matrix = value.reshape(value.shape[:2]) if value.shape[2:] == (1, 1) else value
        if last == "weight" and prefix not in used and matrix.shape[1:] == (table.dimension,):
            found[f"{table.classifier}.weight"] = matrix
            classes = len(matrix)
            found.pop(f"{table.classifier}.bias", None)
            if f"{prefix}.bias" in parameters:
                found[f"{table.classifier}.bias"] = parameters[f"{prefix}.bias"]
    return Match(architecture=table, naming=naming, parameters=found, classes=classes)


def _layer(
    parameters: Mapping[str, Array], layer: ConvLayer, kernel: str, norm: str
) -> dict[str, Array]:
    wanted = {f"{layer.name}.{part}": f"{kernel}.{part}" for part in ("weight", "bias")}
    if norm:
        wanted |= {f"{layer.norm}.{part}": f"{norm}.{part}" for part in NORM_PARTS}
    return {name: parameters[old] for name, old in wanted.items() if old in parameters}
