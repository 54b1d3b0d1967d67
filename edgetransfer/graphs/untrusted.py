"""Reading an ONNX file that may come from a stranger.

The bytes are parsed by protobuf alone; weights in files of their own are read here and never by
the onnx library, whose releases differ in what they let such a file name. A weight file must be
an ordinary file in the model's own folder: no absolute path, no ``..``, no link that leads out,
no device. (A link may lead where the model's own link leads: so the caches of model hubs are
laid out.) Every tensor must hold as many values as its shape says, so that nothing later
believes a shape that asks for terabytes.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import graphs_in

LARGEST_MESSAGE = (1 << 31) - 1  # bytes: what protobuf and the engines take
LARGEST_DENSE = 1 << 29  # values of one sparse tensor written out: 2 GiB of float32

# Bits a value takes in raw form, and the field that holds it otherwise; by the number of the
# standard, because an older onnx library lacks the younger names.
BITS = {
    1: 32,
    2: 8,
    3: 8,
    4: 16,
    5: 16,
    6: 32,
    7: 64,
    9: 8,
    10: 16,
    11: 64,
    12: 32,
    13: 64,
    14: 64,
    15: 128,
    16: 16,
    17: 8,
    18: 8,
    19: 8,
    20: 8,
    21: 4,
    22: 4,
    23: 4,
}
FIELD = {1: "float_data", 7: "int64_data", 11: "double_data", 12: "uint64_data", 13: "uint64_data"}
COMPLEX, STRING = {14: "float_data", 15: "double_data"}, 8


@dataclass(frozen=True, kw_only=True)
class ReadModel:
    """A parsed file.

    Parameters
    ----------
    model
        With all weights in it.
    sha256
        Of the file and of its weight files in order of their names, in hex.
    """

    model: onnx.ModelProto
    sha256: str


def read_model(path: Path) -> ReadModel:
    """Parse an ONNX file, and read its weight files.

    Raises
    ------
    BackboneError
        If it is missing, no ONNX file, or incomplete, or names files that it may not name.
    """
    content = _read_ordinary(path, f"{path}")
    digest = hashlib.sha256(content)
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # DecodeError of protobuf, whose module has no types
        raise BackboneError(f"{path}: not an ONNX file ({one_line(error)})") from error
    if not model.HasField("graph") or not model.graph.node:
        raise BackboneError(f"{path}: an ONNX file without a graph; is it complete?")
    del content
    contents: dict[str, bytes] = {}
    for tensor in tensors_of(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _bring_in(tensor, path, contents)
    for name in sorted(contents):
        digest.update(contents[name])
    try:
        for tensor in tensors_of(model):
            check_size(tensor)
        for sparse in _sparse_of(model):
            _check_sparse(sparse)
    except BackboneError as error:
        raise BackboneError(f"{path}: {error}") from error
    return ReadModel(model=model, sha256=digest.hexdigest())


def one_line(error: BaseException) -> str:
    """The first line of an error's text, or its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what no check foresaw into a refusal: a stranger's file may be wrong in any way.

    Raises
    ------
    BackboneError
        In place of any other error.
    """
    try:
        yield
    except BackboneError:
        raise
    except MemoryError as error:
        raise BackboneError("the graph needs more memory than there is") from error
    except Exception as error:
        raise BackboneError(
            f"the graph does not hold together ({type(error).__name__}: {one_line(error)})"
        ) from error


def graphs_of(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The main graph of a model and all that its nodes and functions hold."""
    yield model.graph
    for node in model.graph.node:
        yield from graphs_in(node)
    for function in model.functions:
        for node in function.node:
            yield from graphs_in(node)


def _nodes_of(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for graph in graphs_of(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def _sparse_of(model: onnx.ModelProto) -> Iterator[onnx.SparseTensorProto]:
    for graph in graphs_of(model):
        yield from graph.sparse_initializer
    for node in _nodes_of(model):
        for item in node.attribute:
            if item.HasField("sparse_tensor"):
                yield item.sparse_tensor
            yield from item.sparse_tensors


def tensors_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor in a model, wherever it stands."""
    for graph in graphs_of(model):
        yield from graph.initializer
    for node in _nodes_of(model):
        for item in node.attribute:
            if item.HasField("t"):
                yield item.t
            yield from item.tensors
    for sparse in _sparse_of(model):
        yield sparse.values
        yield sparse.indices


def _read_ordinary(path: Path, named: str) -> bytes:
    """The bytes of an ordinary file; opening a pipe or device neither waits nor reads."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BackboneError(f"{named}: not an ordinary file; a backbone is read from one")
            if status.st_size > LARGEST_MESSAGE and named == str(path):
                raise BackboneError(
                    f"{named}: {status.st_size / (1 << 30):.1f} GiB; an ONNX file holds at most "
                    "2 GiB (larger weights stand in files beside it)"
                )
            return file.read()
    except FileNotFoundError:
        raise BackboneError(f"{named}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in a name
        reason = getattr(error, "strerror", None) or error
        raise BackboneError(f"{named}: cannot be read: {reason}") from error


def _bring_in(tensor: onnx.TensorProto, path: Path, contents: dict[str, bytes]) -> None:
    """Copy a tensor's values from its weight file into the tensor."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    whose = f"the weight file {location!r} of {tensor.name!r}"
    if location not in contents:
        named = f"{path.parent / location} (needed by the backbone {path})"
        contents[location] = _read_ordinary(_beside(path, location, whose), named)
    content = contents[location]
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries["length"]) if entries.get("length") else len(content) - offset
    except ValueError:
        raise BackboneError(f"{path}: {whose} has a place in it that is no number") from None
    if offset < 0 or length < 0 or offset + length > len(content):
        raise BackboneError(
            f"{path}: {whose} is incomplete: {len(content)} bytes, but {offset + length} are "
            "needed; fetch the file and its data files again"
        )
    tensor.raw_data = content[offset : offset + length]
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _beside(path: Path, location: str, whose: str) -> Path:
    """The weight file's path, if it lies in the model's folder."""
    parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
    absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor
    if not location or "\0" in location or absolute or ".." in parts:
        raise BackboneError(
            f"{path}: {whose} lies outside the model's folder; such files are not read. Put the "
            "weights beside the model and export it again"
        )
    found = path.parent / location
    try:
        target = found.resolve()
        homes = [path.parent.resolve(), path.resolve().parent]
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise BackboneError(f"{path}: {whose} cannot be found: {one_line(error)}") from error
    if not any(target.is_relative_to(home) for home in homes):
        raise BackboneError(
            f"{path}: {whose} is a link to {target}, outside the model's folder; such files are "
            "not read. Copy the weights beside the model"
        )
    return target


def check_size(tensor: onnx.TensorProto) -> None:
    """Refuse a tensor that does not hold as many values as its shape says."""
    if tensor.data_type == STRING:
        return
    if tensor.data_type not in BITS:
        raise BackboneError(
            f"the weights {tensor.name!r} are of an unknown kind ({tensor.data_type}); export the "
            "model with float32 weights"
        )
    if any(d < 0 for d in tensor.dims):
        raise BackboneError(f"the weights {tensor.name!r} have a negative size {[*tensor.dims]}")
    count = math.prod(tensor.dims)
    bits = BITS[tensor.data_type]
    raw = tensor.HasField("raw_data") and bool(tensor.raw_data)
    if raw:
        held, wanted, unit = len(tensor.raw_data), (count * bits + 7) // 8, "bytes"
    elif tensor.data_type in COMPLEX:
        held, wanted = len(getattr(tensor, COMPLEX[tensor.data_type])), 2 * count
        unit = "values"
    else:
        held, unit = len(getattr(tensor, FIELD.get(tensor.data_type, "int32_data"))), "values"
        wanted = (count + 1) // 2 if bits == 4 else count
    if held != wanted:
        raise BackboneError(
            f"the weights {tensor.name!r} are incomplete ({held} of {wanted} {unit}); fetch the "
            "file and its data files again"
        )


def _check_sparse(tensor: onnx.SparseTensorProto) -> None:
    name, dims = tensor.values.name, list(tensor.dims)
    if any(d < 0 for d in dims) or math.prod(dims) > LARGEST_DENSE:
        raise BackboneError(
            f"the sparse weights {name!r} of shape {dims} would take "
            f"{math.prod(dims) * 4 / (1 << 30):.0f} GiB; no image network has such"
        )
    if len(tensor.values.dims) != 1 or tensor.indices.data_type != onnx.TensorProto.INT64:
        raise BackboneError(f"the sparse weights {name!r} are not in the form of the standard")
