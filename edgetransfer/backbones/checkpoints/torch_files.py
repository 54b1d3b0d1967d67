"""Files that ``torch.save`` writes: the zip form since torch 1.6, and the pickles before it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from edgetransfer.backbones.checkpoints.bounds import check_pickle
from edgetransfer.backbones.checkpoints.restricted import RestrictedUnpickler
from edgetransfer.backbones.checkpoints.tensors import ByteOrder, Storage, item_size
from edgetransfer.errors import BackboneError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
LARGEST_PICKLE = 64 * 2**20  # bytes; that of a network with a thousand tensors has 0.2 MB


def read_zip(path: Path, passed_over: set[str]) -> Any:
    """The object in a zip checkpoint; its tensors are read when they are asked for."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise BackboneError(f"{path}: a zip file, but not one that torch.save wrote")
        prefix = pickles[0].removesuffix("data.pkl")
        if f"{prefix}constants.pkl" in entries:
            raise BackboneError(
                f"{path}: a TorchScript archive; save model.state_dict() with torch.save, or "
                "export the model to ONNX"
            )
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise BackboneError(f"{path}: a compressed zip file, which torch.save does not write")
        order: ByteOrder = ">" if _text(archive, f"{prefix}byteorder") == "big" else "<"

        def make(kind: str, key: str, count: int) -> Storage:
            name = f"{prefix}data/{key}"
            if name not in entries or entries[name].file_size < count * item_size(kind):
                raise ValueError(f"the storage {key} is missing or incomplete")

            def read() -> bytes:
                with zipfile.ZipFile(path) as again:
                    return again.read(name)[: count * item_size(kind)]

            return Storage(read=read, kind=kind, count=count, byte_order=order)

        size = entries[pickles[0]].file_size
        if size > LARGEST_PICKLE:
            raise BackboneError(
                f"{path}: {size >> 20} MiB of Python objects around its tensors; save "
                "model.state_dict() alone"
            )
        file = io.BytesIO(archive.read(pickles[0]))
        return RestrictedUnpickler(check_pickle(file, size), make, passed_over).load()


def _text(archive: zipfile.ZipFile, name: str) -> str:
    try:
        return archive.read(name).decode(errors="replace").strip()
    except KeyError:
        return ""


def read_legacy(path: Path, passed_over: set[str]) -> Any:
    """The object in a checkpoint of torch before 1.6: pickles, then the storages one by one."""
    places: dict[str, tuple[int, int]] = {}

    def make(kind: str, key: str, count: int) -> Storage:
        def read() -> bytes:
            start, stored = places[key]
            with path.open("rb") as again:
                again.seek(start)
                return again.read(stored * item_size(kind))

        kinds[key] = kind
        return Storage(read=read, kind=kind, count=count)

    kinds: dict[str, str] = {}
    end = path.stat().st_size
    with path.open("rb") as file:

        def load() -> Any:
            return RestrictedUnpickler(check_pickle(file, end), make, passed_over).load()

        if load() != LEGACY_MAGIC or load() != LEGACY_PROTOCOL:
            raise BackboneError(f"{path}: a pickle, but not one that torch.save wrote")
        system = load()
        if not isinstance(system, dict) or not system.get("little_endian", True):
            raise BackboneError(f"{path}: written on a big-endian machine; save it anew")
        tree = load()
        for key in load():
            count = int.from_bytes(file.read(8), "little")
            places[str(key)] = (file.tell(), count)
            file.seek(count * item_size(kinds.get(str(key), "float32")), 1)
        if file.tell() > end:
            raise ValueError("the file ends before its tensors do")
    return tree
