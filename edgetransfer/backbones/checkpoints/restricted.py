"""Unpickling that runs nothing but what stands here.

A pickle is a program: it may name any function and call it. This reader admits torch's rebuilding
of tensors, by code of our own, and plain containers. Whatever else a pickle names becomes an inert
stand-in: nothing is imported, nothing is called.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from edgetransfer.backbones.checkpoints.bounds import Within
from edgetransfer.backbones.checkpoints.tensors import STORAGE_TYPES, LazyTensor, Storage

MakeStorage = Callable[..., Storage]


class Inert:
    """Stands for an object of a class that is not admitted; keeps its state, does nothing."""

    state: Any = None

    def __init__(self, *_args: Any, **_options: Any) -> None:
        pass

    def __call__(self, *_args: Any, **_options: Any) -> Inert:
        """Another of the kind."""
        return Inert()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass

    def append(self, _value: Any) -> None:
        """Nothing; unpickling fills lists and sets by these."""

    extend = add = append


class PlainDict(dict[Any, Any]):
    """A dictionary that takes attributes, as pickled ``OrderedDict`` objects have."""


class _Admitted:
    """A function that a pickle may call; a pickle cannot change it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, _state: Any) -> None:
        raise pickle.UnpicklingError("the pickle tampers with a function")


def _rebuild_tensor(
    storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: Any
) -> LazyTensor:
    if not isinstance(storage, Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    return LazyTensor(storage=storage, offset=offset, shape=tuple(shape), strides=tuple(strides))


def _first(value: Any, *_rest: Any) -> Any:
    return value


def _storage_kind(name: str) -> _Admitted:
    def kind(*_args: Any) -> str:
        return STORAGE_TYPES[name]

    return _Admitted(kind)


ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): PlainDict,
    ("collections", "defaultdict"): _Admitted(lambda *_args: PlainDict()),
    ("builtins", "set"): _Admitted(set),
    ("__builtin__", "set"): _Admitted(set),
    ("torch", "Size"): _Admitted(tuple),
    ("torch._utils", "_rebuild_tensor"): _Admitted(_rebuild_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Admitted(_rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): _Admitted(_first),
    ("torch._utils", "_rebuild_parameter_with_state"): _Admitted(_first),
    ("torch.nn.parameter", "Parameter"): _Admitted(_first),
    **{("torch", name): _storage_kind(name) for name in STORAGE_TYPES},
    **{("torch.storage", name): _storage_kind(name) for name in STORAGE_TYPES},
}


class RestrictedUnpickler(pickle.Unpickler):
    """Reads one pickle after another from a file.

    Parameters
    ----------
    make_storage
        Called with (kind, key, count) for every storage that a tensor refers to.
    passed_over
        The names that were met and not admitted are added to it.
    """

    def __init__(self, file: Within, make_storage: MakeStorage, passed_over: set[str]) -> None:
        super().__init__(file, encoding="latin-1")  # as Python 2 wrote them
        self._make_storage = make_storage
        self._passed_over = passed_over

    def find_class(self, module: str, name: str) -> Any:
        """Our own counterpart of a name, or a class of inert objects."""
        if (module, name) in ADMITTED:
            return ADMITTED[module, name]
        self._passed_over.add(f"{module}.{name}")
        return type("Inert", (Inert,), {})

    def persistent_load(self, pid: Any) -> Storage:
        """A storage, from what torch writes in its place: (storage, type, key, where, count)."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise pickle.UnpicklingError("an unknown kind of reference")
        _, kind, key, _, count = pid[:5]
        if not isinstance(kind, _Admitted) or not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError("a storage of a type that is not known here")
        return self._make_storage(kind(), str(key), count)
