"""Whether the parameters under one path are those of one architecture, under one naming scheme."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgetransfer.backbones.architectures import (
    Architecture,
    ConvLayer,
    NormLayer,
    with_widths,
    without_ones,
)
from edgetransfer.backbones.checkpoints.naming import Scheme
from edgetransfer.backbones.checkpoints.state_dict import Parameter
from edgetransfer.errors import BackboneError

STATISTICS = ("running_mean", "running_var")
AFFINE = ("weight", "bias")
COUNTER = "num_batches_tracked"
CLASSIFIER = "<classifier>"  # in place of its own name, which differs
# What stands behind the pooling is called by one of these, where it is not called as its scheme
# says: it takes no part in the features.
HEADS = frozenset(
    (
        *("fc", "head", "heads", "classifier", "linear", "last_linear", "logits", "output"),
        *("projector", "projection", "projection_head", "predictor", "prototypes", "cls_head"),
    )
)

# What a single layer there must be called to be taken for a classifier; a projection that a
# self-supervised trainer put there is none.
PLAIN_HEAD = re.compile(
    r"(fc|heads?|cls_head|classifier|linear|last_linear|logits|output)(\.(\d|fc|head|linear))?"
)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Parameters that are an architecture's, to the last one.

    Parameters
    ----------
    scheme
        Whose names they have.
    table
        The architecture under the scheme's conventions, with the widths that the weights have.
    root
        What stands before every name, with its dot.
    names
        Each parameter's path by the architecture's own name.
    classes
        Outputs of the classifier, 0 if there is none.
    strange
        How many layers have other widths than the architecture's own.
    """

    scheme: Scheme
    table: Architecture
    root: str
    names: dict[str, str]
    classes: int
    strange: int


@dataclass(frozen=True, kw_only=True)
class Miss:
    """Why parameters are not an architecture's, and how near they are, 0 to 1."""

    scheme: Scheme
    fitting: int
    of: int
    near: float
    reason: str


def fit(at: Roots, root: str, table: Architecture, scheme: Scheme) -> Fit | Miss:
    """Compare every parameter whose path begins with `root` with an architecture.

    Each of the architecture's parameters must be there with a shape that fits, and each that is
    there must be the architecture's, a counter of its batch-norms', or behind its pooling.
    """
    found = _Names(at, root, table, scheme)
    convolutions = list(table.convolutions)
    fitting = sum(found.has(f"{layer.name}.weight", layer.shape) for layer in convolutions)
    reason, adapted, left = "", table, list[str]()
    try:
        adapted = with_widths(table, found.shape_of, found.path)
        found.take(adapted)
    except BackboneError as error:
        reason = str(error)
    classes, head = found.head(adapted.dimension)
    if not reason:
        left = found.left(head)
        if left:
            reason = (
                f"{len(left)} parameters have no place in it: {_some(left)}. A network that "
                "computes something else may have the same names"
            )
    if reason:
        return Miss(
            scheme=scheme,
            fitting=fitting,
            of=len(convolutions),
            near=found.overlap(table),
            reason=reason,
        )
    strange = sum(a != b for a, b in zip(adapted.layers, table.layers, strict=True))
    return Fit(
        scheme=scheme,
        table=adapted.under(scheme.conventions),
        root=root,
        names=found.names,
        classes=classes,
        strange=strange,
    )


class Roots:
    """Finds what stands before a network's names, wherever in a checkpoint it is."""

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        self.parameters = parameters
        self._ends: dict[str, list[str]] = {}
        for name in parameters:
            self._ends.setdefault(_end(name), []).append(name)

    def of(self, table: Architecture, scheme: Scheme) -> list[str]:
        """The paths, with their dots, before the name of the first weights."""
        first = f"{scheme.spell(next(table.convolutions).name)}.weight"
        return [
            name.removesuffix(first)
            for name in self._ends.get(_end(first), ())
            if name == first or name.endswith(f".{first}")
        ]

    def complete(self, table: Architecture, scheme: Scheme) -> list[str]:
        """Those below which all of the network's weights are."""
        names = [f"{scheme.spell(layer.name)}.weight" for layer in table.convolutions]
        return [
            root
            for root in self.of(table, scheme)
            if all(f"{root}{name}" in self.parameters for name in names)
        ]


def _end(name: str) -> str:
    return ".".join(name.split(".")[-2:])


class _Names:
    """Looks up an architecture's own names among paths, and remembers which were taken."""

    def __init__(self, found: Roots, root: str, table: Architecture, scheme: Scheme) -> None:
        self.parameters, self.root, self.scheme = found.parameters, root, scheme
        # Another copy of the network deeper down (a momentum encoder, an average) is not of it.
        deeper = tuple(
            other
            for other in found.complete(table, scheme)
            if other.startswith(root) and other != root
        )
        self.inside = [
            name
            for name in self.parameters
            if name.startswith(root) and not (deeper and name.startswith(deeper))
        ]
        self.names: dict[str, str] = {}
        self.taken: set[str] = set()

    def path(self, name: str) -> str:
        prefix, _, last = name.rpartition(".")
        return f"{self.root}{self.scheme.spell(prefix)}.{last}"

    def has(self, name: str, shape: tuple[int, ...]) -> bool:
        path = self.path(name)
        return path in self.parameters and self.parameters[path].shape == shape

    def overlap(self, table: Architecture) -> float:
        """Trained parameters that are the table's and there, over those that are either."""
        shapes = table.parameter_shapes()
        both = sum(self.has(name, shape) for name, shape in shapes.items())
        untrained = (*STATISTICS, COUNTER)
        there = sum(name.rpartition(".")[2] not in untrained for name in self.inside)
        return both / (len(shapes) + there - both)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of an own name's parameter.

        Raises
        ------
        BackboneError
            If it is missing; it is named as the checkpoint would name it.
        """
        path = self.path(name)
        if path not in self.parameters:
            raise BackboneError(f"{path!r} is missing")
        return self.parameters[path].shape

    def take(self, table: Architecture) -> None:
        """Find every parameter of an architecture.

        Raises
        ------
        BackboneError
            If one is missing or has a shape that does not fit.
        """
        affine = any(
            self.path(f"{layer.norm}.{part}") in self.parameters
            for layer in table.convolutions
            if layer.norm
            for part in AFFINE
        )
        for layer in table.convolutions:
            self._take_convolution(layer, affine=affine)
        for other in table.others:
            for name, shape in other.shapes.items():
                self._take(name, shape, reshaped=not isinstance(other, NormLayer))

    def _take_convolution(self, layer: ConvLayer, *, affine: bool) -> None:
        if not layer.norm:
            for name, shape in layer.shapes.items():
                self._take(name, shape)
            return
        self._take(f"{layer.name}.weight", layer.shape)
        bias = f"{layer.name}.bias"
        if self.path(bias) in self.parameters:
            self._take(bias, (layer.outputs,))
        parts = (*(AFFINE if affine else ()), *STATISTICS)
        folded = not any(self.path(f"{layer.norm}.{part}") in self.parameters for part in parts)
        if folded and bias in self.names:
            return
        for part in parts:
            self._take(f"{layer.norm}.{part}", (layer.outputs,))
        self.taken.add(self.path(f"{layer.norm}.{COUNTER}"))

    def _take(self, name: str, shape: tuple[int, ...], *, reshaped: bool = False) -> None:
        found = self.shape_of(name)
        # Gates and necks are written as fully connected layers or as 1x1 convolutions.
        if found != shape and not (reshaped and without_ones(found) == without_ones(shape)):
            raise BackboneError(f"{self.path(name)!r} has shape {found}, not {shape}")
        self.names[name] = self.path(name)
        self.taken.add(self.path(name))

    def head(self, dimension: int) -> tuple[int, list[str]]:
        """The classes of a plain classifier, and what else stands behind the pooling.

        A classifier is plain if it is all that stands there: a matrix whose rows are as long as
        a feature vector, and perhaps a bias. Where nothing does, one beside the network's own
        path is taken if it is the only thing there.
        """
        own = {path.removeprefix(self.root).partition(".")[0] for path in self.taken}
        rest = [name for name in self.inside if name not in self.taken]
        found = [name for name in rest if self._behind(name.removeprefix(self.root), own)]
        if found:
            classes = self._plain(found, self.root, dimension)
            return classes, [] if classes else found
        above = self.root.rstrip(".").rpartition(".")[0]
        above = f"{above}." if above else ""
        inside = set(self.inside)
        beside = [n for n in self.parameters if n.startswith(above) and n not in inside]
        if beside and all(self._behind(n.removeprefix(above), set()) for n in beside):
            return self._plain(beside, above, dimension), []
        return 0, []

    def left(self, head: list[str]) -> list[str]:
        """Paths under the root that nothing accounts for."""
        known = self.taken | set(head)
        return [name for name in self.inside if name not in known]

    def _behind(self, name: str, own: set[str]) -> bool:
        """Whether a name, without its root, is of something behind the pooling."""
        if name.startswith(f"{self.scheme.classifier}."):
            return True
        top = name.partition(".")[0]
        return top in HEADS and top not in own

    def _plain(self, names: list[str], root: str, dimension: int) -> int:
        """The outputs of the one layer that has these names, if it is a classifier; else 0."""
        prefixes = {name.rpartition(".")[0] for name in names}
        if len(prefixes) != 1:
            return 0
        prefix = prefixes.pop()
        called = prefix.removeprefix(root)
        if called != self.scheme.classifier and not PLAIN_HEAD.fullmatch(called):
            return 0
        parts = {name.rpartition(".")[2] for name in names}
        if f"{prefix}.weight" not in names or not parts <= set(AFFINE):
            return 0
        rows, *columns = self.parameters[f"{prefix}.weight"].shape
        if columns not in ([dimension], [dimension, 1, 1]):
            return 0
        if "bias" in parts and self.parameters[f"{prefix}.bias"].shape != (rows,):
            return 0
        for part in parts:
            self.names[f"{CLASSIFIER}.{part}"] = f"{prefix}.{part}"
            self.taken.add(f"{prefix}.{part}")
        return rows


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and others"
