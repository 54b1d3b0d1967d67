"""Which architecture a checkpoint's parameters are of, wherever in it they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgetransfer.backbones.architectures import ARCHITECTURES, Architecture
from edgetransfer.backbones.checkpoints.fitting import CLASSIFIER, Fit, Miss, Roots, fit
from edgetransfer.backbones.checkpoints.naming import SCHEMES, Scheme
from edgetransfer.backbones.checkpoints.state_dict import Parameter
from edgetransfer.errors import BackboneError, UsageError
from edgetransfer.graphs.graph import Array

# Copies that a training keeps beside the network that it trains; where there is another, not
# these. DINO's authors evaluate the teacher.
COPIES = frozenset(
    (
        *("encoder_k", "student", "target", "target_net", "target_encoder", "momentum_encoder"),
        *("ema", "ema_model", "model_ema", "state_dict_ema", "ema_state_dict", "shadow"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Match:
    """A network recognised.

    Parameters
    ----------
    architecture
        What it is, with its own widths and under the conventions of its scheme.
    scheme
        Whose names it has, and so how it was trained.
    root
        The path in the checkpoint under which it was found; empty for the top.
    parameters
        Under the architecture's own names, ready for `build`.
    classes
        Outputs of the classifier, 0 if there is none.
    widths
        How many layers have other widths than the architecture's own.
    left
        What else is in the checkpoint: paths, shortened to where they leave the network's.
    masked, thresholded
        How many weights had a mask, or a threshold of STR's.
    """

    architecture: Architecture
    scheme: Scheme
    root: str
    parameters: dict[str, Array]
    classes: int
    widths: int
    left: tuple[str, ...]
    masked: int
    thresholded: int


def match(
    parameters: Mapping[str, Parameter],
    wanted: Architecture | None = None,
    *,
    scheme: str | None = None,
    file: str = "",
) -> Match:
    """Recognise a network by its names and shapes, whatever it is wrapped in.

    It is found under the longest path below which all names of a scheme are there and nothing
    is left over; what stands elsewhere is told and left.

    Parameters
    ----------
    parameters
        By path, as `find_parameters` gives them.
    wanted
        The only architecture to try; all if None.
    scheme
        The only naming scheme to try; all if None.
    file
        The checkpoint's name, which tells schemes of one spelling apart.

    Raises
    ------
    BackboneError
        If no architecture fits; it names the nearest and what does not fit. Or if two networks
        that compute different things have these names.
    UsageError
        If there is no such scheme.
    """
    names = dict.fromkeys(known.name for schemes in SCHEMES.values() for known in schemes)
    if scheme is not None and scheme not in names:
        raise UsageError(f"no naming scheme is called {scheme!r}; known are: {', '.join(names)}")
    at = Roots(parameters)
    fits: list[Fit] = []
    misses: list[Miss] = []
    for table in [wanted] if wanted is not None else ARCHITECTURES.values():
        for candidate in SCHEMES[table.name]:
            if scheme is not None and candidate.name != scheme:
                continue
            for root in at.of(table, candidate):
                found = fit(at, root, table, candidate)
                if isinstance(found, Fit):
                    fits.append(found)
                else:
                    misses.append(found)
    if not fits:
        raise _refusal(misses)
    return _read(parameters, _choose(fits, file))


def _choose(fits: list[Fit], file: str) -> Fit:
    least = min(found.strange for found in fits)
    fits = [found for found in fits if found.strange == least]
    first = fits[0].table.name
    foreign = next((mark for mark in fits[0].scheme.foreign if file.startswith(mark)), None)
    if foreign is not None:
        raise BackboneError(
            f"the parameters are those of {first}, but networks whose files are called {foreign}… "
            "compute something else with them; export it to ONNX, and import that"
        )
    fits = [found for found in fits if found.table.name == first]
    roots = sorted({found.root for found in fits}, key=lambda root: _is_copy(root))
    fits = [found for found in fits if found.root == roots[0]]
    marked = [found for found in fits if found.scheme.mark and file.startswith(found.scheme.mark)]
    fits = marked or fits
    if any(found.scheme.conventions != fits[0].scheme.conventions for found in fits):
        names = " or ".join(f"--scheme {found.scheme.name!r}" for found in fits)
        raise BackboneError(
            f"these are names of {first}, under which networks are published that pad their "
            f"input differently; say which it is: {names}"
        )
    return fits[0]


def _is_copy(root: str) -> bool:
    return not COPIES.isdisjoint(root.split("."))


def _read(parameters: Mapping[str, Parameter], found: Fit) -> Match:
    values: dict[str, Array] = {}
    shapes = found.table.parameter_shapes()
    for name, path in found.names.items():
        own = name.replace(CLASSIFIER, found.table.classifier)
        value = parameters[path].read()
        if name.startswith(CLASSIFIER):
            value = value.reshape(value.shape[:2]) if value.ndim == 4 else value
        elif name in shapes:
            value = value.reshape(shapes[name])
        values[own] = value
    used = set(found.names.values())
    norms = {path.rpartition(".")[0] for path in used}
    left = [n for n in parameters if n not in used and n.rpartition(".")[0] not in norms]
    return Match(
        architecture=found.table,
        scheme=found.scheme,
        root=found.root.rstrip("."),
        parameters=values,
        classes=found.classes,
        widths=found.strange,
        left=_shortened(left, found.root),
        masked=sum(parameters[path].masked for path in used),
        thresholded=sum(parameters[path].thresholded for path in used),
    )


def _shortened(names: list[str], root: str) -> tuple[str, ...]:
    """Each path up to where it leaves that of the network, once."""
    parts = root.rstrip(".").split(".") if root else []
    found: dict[str, None] = {}
    for name in names:
        own = name.split(".")
        shared = next(
            (i for i, (a, b) in enumerate(zip(own, parts, strict=False)) if a != b),
            min(len(own), len(parts)),
        )
        found[".".join(own[: shared + 1])] = None
    return tuple(found)


def _refusal(misses: list[Miss]) -> BackboneError:
    other = "Other networks: export them to ONNX, and import that"
    nearest = max(misses, key=lambda miss: miss.near, default=None)
    if nearest is None or not nearest.fitting:
        return BackboneError(
            f"the weights are of no architecture that is known here ({', '.join(ARCHITECTURES)}), "
            f"or have names that are not. {other}"
        )
    return BackboneError(
        f"the weights are of no architecture that is known here: the nearest is "
        f"{nearest.scheme.architecture} under the names of {nearest.scheme.name}, of whose "
        f"{nearest.of} convolutions {nearest.fitting} fit, but {nearest.reason}. {other}"
    )
