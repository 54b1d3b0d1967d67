"""Whether a checkpoint's state is one that a learner could have saved.

A run folder may come from anybody: its checkpoints may be whole, and still hold numbers that would
lead a learner to places that are not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.stream.learning.choosing_learner import PARTS, Tested, part_of
from edgetransfer.stream.learning.ids import ID_BYTES
from edgetransfer.stream.learning.learner_state import Counts, LearnerState
from edgetransfer.stream.learning.statistics_learner import MAP

_LARGEST = 2**20  # features of a row

Shape = Sequence[int | None]


def check_state(state: LearnerState) -> None:
    """Look at everything in a state.

    Raises
    ------
    ValueError, KeyError, TypeError
        If something of it is missing, of another kind or shape, or out of range.
    """
    values, arrays = state.values, state.arrays
    dimension, classes = values["dimension"], values["classes"]
    if values.get("learner") == "auto":
        _check_choosing(state)
    _need(type(dimension) is int and 0 < dimension <= _LARGEST, "dimension")
    _need(isinstance(classes, list) and all(isinstance(c, str) for c in classes), "classes")
    _need(len(set(classes)) == len(classes), "classes")
    for name in (field.name for field in fields(Counts)):
        value = values["counts"][name]
        _need(type(value) in ((int, float) if name == "last_time" else (int,)), name)
        _need(0 <= value < 2**62, name)
    for name, value in values["drift"].items():
        whole = name in ("least", "count", "alarms", "seen", "last_alarm")
        none = name == "last_alarm" and value is None
        _need(none or type(value) in ((int,) if whole else (int, float)), f"drift {name}")
        _need(none or (-(2**62) < value < 2**62 and (not whole or value >= 0)), f"drift {name}")
    if values.get("learner") == "auto":
        _check_scores(arrays, len(classes))
        return
    by_class = _array(arrays, "by_class", np.int64, (None,))
    _need(len(by_class) <= len(classes) and (by_class >= 0).all(), "by_class")
    _check_scores(arrays, len(classes))
    _check_samples(arrays, "pool", np.float16, dimension)
    if values.get("learner") == "statistics":
        _check_statistics(state, dimension, len(classes))
    else:
        _check_replay(state, dimension, len(classes))


def _check_choosing(state: LearnerState) -> None:
    """Of a learner of two: each of them, what waits for their comparison, and what it has said."""
    values, arrays = state.values, state.arrays
    for part in PARTS:
        check_state(part_of(state, part))
        _need(values[part]["dimension"] == values["dimension"], part)
        _need(values[part].get("learner", "replay") == part, part)
    _need(values["classes"] == values["statistics"]["classes"], "classes")
    _need(set(values["replay"]["classes"]) <= set(values["classes"]), "classes")
    pairs = _array(arrays, "pairs", np.uint8, (None, 2))
    _range(pairs, 0, 2, "pairs")
    _need(type(values["stepped"]) is bool, "stepped")
    _need(type(values["switches"]) is int and 0 <= values["switches"] < 2**62, "switches")
    for sample in values["tested"]:
        tested = Tested(**sample)
        _need(len(bytes.fromhex(tested.key)) == ID_BYTES, "tested")
        _need(tested.label in values["classes"] and type(tested.stepped) is bool, "tested")
        _need(isinstance(tested.guess, str | None), "tested")
    waiting = part_of(state, "replay").arrays["waiting.keys"]
    _need([s["key"] for s in values["tested"]] == [k.tobytes().hex() for k in waiting], "tested")


def _check_statistics(state: LearnerState, dimension: int, n_classes: int) -> None:
    values, arrays = state.values, state.arrays
    _need(values["map"] == MAP, "map")
    for name in ("relabelled", "forgotten"):
        _need(type(values[name]) is int and 0 <= values[name] < 2**62, name)
    _need(len(arrays["by_class"]) == n_classes, "by_class")
    counts = _array(arrays, "statistics.counts", np.int64, (n_classes,))
    _need((counts >= arrays["by_class"]).all(), "statistics.counts")
    exponents = _array(arrays, "statistics.exponents", np.int64, (None,))
    planes = len(exponents)
    _array(arrays, "statistics.rows", np.int64, (planes,))
    _array(arrays, "statistics.sums", np.int64, (planes, n_classes, dimension))
    pairs = dimension * (dimension + 1) // 2
    for name in ("gram", "gram_high") if "statistics.gram_high" in arrays else ("gram",):
        _array(arrays, f"statistics.{name}", np.int64, (planes, pairs))
    labels = _array(arrays, "kept.labels", np.int64, (None,))
    _range(labels, 0, n_classes, "kept.labels")
    _need((counts[labels] > 0).all(), "kept.labels")
    _array(arrays, "kept.keys", np.uint8, (len(labels), ID_BYTES))
    _array(arrays, "kept.limit", np.uint8, (ID_BYTES,))
    rows = _array(arrays, "kept.rows", np.float32, (len(labels), dimension))
    _need(np.isfinite(rows).all(), "kept.rows")
    if "recent.keys" in arrays:
        _check_samples(arrays, "recent", np.float32, dimension)
        _need(np.isfinite(arrays["recent.rows"]).all(), "recent.rows")
        labels = _array(arrays, "recent.labels", np.int64, (len(arrays["recent.keys"]),))
        _range(labels, 0, n_classes, "recent.labels")
        held = np.bincount(labels, minlength=n_classes)
        _need(bool((held == arrays["by_class"]).all()), "recent.labels")


def _check_replay(state: LearnerState, dimension: int, n_classes: int) -> None:
    values, arrays = state.values, state.arrays
    born = values["born"]
    _need(type(born) is int and 0 <= born <= n_classes, "born")
    for name in ("l2", "loss"):
        _need(values[name] is None or type(values[name]) in (int, float), name)
    _need(values["l2"] is None or 0 < values["l2"] < 2**62, "l2")
    for name in ("weights", "weights_velocity"):
        _array(arrays, f"solver.{name}", np.float32, (dimension, born))
    for name in ("bias", "bias_velocity"):
        _array(arrays, f"solver.{name}", np.float32, (born,))
    _check_reservoir(arrays, dimension, born)
    _check_samples(arrays, "waiting", np.float32, dimension)
    labels = _array(arrays, "waiting.labels", np.int64, (len(arrays["waiting.keys"]),))
    _range(labels, 0, n_classes, "waiting.labels")
    if "refit.span" in arrays:
        _check_refit(arrays, dimension, born)


def _check_reservoir(arrays: dict[str, NDArray[Any]], dimension: int, born: int) -> None:
    labels = _array(arrays, "reservoir.labels", np.int32, (None,))
    n = len(labels)
    _array(arrays, "reservoir.rows", np.float16, (n, dimension))
    _array(arrays, "reservoir.keys", np.uint8, (n, ID_BYTES))
    places = _array(arrays, "reservoir.places", np.int32, (n,))
    seen = _array(arrays, "reservoir.seen", np.int64, (None,))
    _need(len(seen) <= born, "reservoir.seen")
    _range(labels, 0, len(seen), "reservoir.labels")
    _need(bool((seen >= np.bincount(labels, minlength=len(seen))).all()), "reservoir.seen")
    # The rows of each class have the places 0, 1, 2, … in its list, each once.
    order = np.lexsort((places, labels))
    starts = np.searchsorted(labels[order], labels[order])
    _need(bool((places[order] == np.arange(n) - starts).all()), "reservoir.places")


def _check_scores(arrays: dict[str, NDArray[Any]], n_classes: int) -> None:
    unpredicted = _array(arrays, "scores.unpredicted", np.int64, (None,))
    k = len(unpredicted)
    _need(k <= n_classes and (unpredicted >= 0).all(), "scores.unpredicted")
    if "scores.confusion" in arrays:
        confusion = _array(arrays, "scores.confusion", np.int64, (k, k))
        _need((confusion >= 0).all(), "scores.confusion")
    else:
        cells = _array(arrays, "scores.cells", np.int64, (None, 3))
        _range(cells[:, :2], 0, k, "scores.cells")
        _need((cells[:, 2] > 0).all(), "scores.cells")
    recent = _array(arrays, "scores.recent", np.int64, (None, 2))
    _range(recent[:, 0], 0, k, "scores.recent")
    _range(recent[:, 1], -1, k, "scores.recent")
    _array(arrays, "scores.faded", np.float64, (2, k))


def _check_samples(
    arrays: dict[str, NDArray[Any]], part: str, kind: type[np.generic], dimension: int
) -> None:
    keys = _array(arrays, f"{part}.keys", np.uint8, (None, ID_BYTES))
    views = _array(arrays, f"{part}.views", np.int64, (len(keys),))
    rows = _array(arrays, f"{part}.rows", kind, (None, dimension))
    _range(views, 1, len(rows) + 1, f"{part}.views")
    _need(int(views.sum()) == len(rows), f"{part}.views")


def _check_refit(arrays: dict[str, NDArray[Any]], dimension: int, born: int) -> None:
    span = _array(arrays, "refit.span", np.int64, (2,))
    _need(0 <= span[0] <= span[1], "refit.span")
    labels = _array(arrays, "refit.trial_labels", np.int64, (None,))
    _range(labels, 0, born, "refit.trial_labels")
    _array(arrays, "refit.trial_right", np.uint8, (len(labels),))
    if len(labels):
        _array(arrays, "refit.trial_rows", np.float32, (len(labels), dimension))
    if "refit.weights" in arrays:
        known = _array(arrays, "refit.labels", np.int64, (None,))
        _range(known, 0, born, "refit.labels")
        _need(len(np.unique(known)) == len(known), "refit.labels")
        _array(arrays, "refit.weights", np.float32, (dimension, len(known)))
        _array(arrays, "refit.bias", np.float32, (len(known),))
        _array(arrays, "refit.l2", np.float64, (1,))


def _array(
    arrays: dict[str, NDArray[Any]], name: str, kind: type[np.generic], shape: Shape
) -> NDArray[Any]:
    array = arrays[name]
    fits = array.ndim == len(shape) and all(
        size in (None, found) for size, found in zip(shape, array.shape, strict=True)
    )
    _need(fits and array.dtype == kind, name)
    return array


def _range(array: NDArray[Any], low: int, high: int, name: str) -> None:
    """Every number lies from ``low`` to below ``high``."""
    _need(not array.size or (low <= array.min() and array.max() < high), name)


def _need(fits: object, name: str) -> None:
    if not fits:
        raise ValueError(f"{name} is not as a learner saves it")
