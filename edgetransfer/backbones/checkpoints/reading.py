"""A checkpoint file, whatever wrote it, as dictionaries of tensors."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgetransfer.backbones.checkpoints.tensors import BFLOAT16, values_of
from edgetransfer.backbones.checkpoints.torch_files import read_legacy, read_zip
from edgetransfer.errors import BackboneError

FileKind = Literal["torch", "torch-legacy", "safetensors", "onnx"]
SAFETENSORS_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": BFLOAT16,
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a file holds: containers, numbers and tensors.

    Parameters
    ----------
    tree
        Dictionaries and lists, of `LazyTensor` objects or arrays among other things.
    kind
        The form of the file.
    passed_over
        Classes and functions that a pickle named and that were neither imported nor called.
    """

    tree: Any
    kind: FileKind
    passed_over: tuple[str, ...] = ()


def kind_of(path: Path) -> FileKind:
    """The form of a file, by its first bytes.

    Raises
    ------
    BackboneError
        If it cannot be read or is empty.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
        size = path.stat().st_size
    except FileNotFoundError:
        raise BackboneError(f"{path}: no such file") from None
    except OSError as error:
        raise BackboneError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not head:
        raise BackboneError(f"{path}: an empty file; fetch it again")
    if head.startswith(b"PK"):
        return "torch"
    if head[0] == 0x80:
        return "torch-legacy"
    if head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") <= size - 8:
        return "safetensors"
    return "onnx"


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of torch or of safetensors. No code in it is run.

    Raises
    ------
    BackboneError
        If the file is of another kind, incomplete or broken.
    """
    kind = kind_of(path)
    passed_over: set[str] = set()
    try:
        if kind == "torch":
            tree = read_zip(path, passed_over)
        elif kind == "torch-legacy":
            tree = read_legacy(path, passed_over)
        elif kind == "safetensors":
            tree = _read_safetensors(path)
        else:
            raise BackboneError(
                f"{path}: neither a torch checkpoint nor safetensors (a checkpoint of torch 0.1, "
                "or a .tar of one, must be loaded and saved again with a later torch)"
            )
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise _broken(path, error) from error
    except (TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        # What a pickle does to our own objects when it is malformed.
        raise _broken(path, error) from error
    return Checkpoint(tree=tree, kind=kind, passed_over=tuple(sorted(passed_over)))


def _broken(path: Path, error: Exception) -> BackboneError:
    detail = str(error).strip().splitlines()[:1] or [type(error).__name__]
    return BackboneError(f"{path}: a broken checkpoint ({detail[0][:200]}); fetch it again")


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    found: dict[str, Any] = {}
    for name, entry in entries:
        if entry["dtype"] in SAFETENSORS_TYPES:
            values = values_of(bytes(entry["data"]), SAFETENSORS_TYPES[entry["dtype"]])
            found[name] = values.reshape(entry["shape"])
    return found
