"""A sparse ONNX file as a small one: bit masks and the non-zeros in float16.

A packed file unpacks to the bytes of the ONNX file that it was made from, so that a backbone has
one sha256 on every machine, whatever wrote it. It holds, in this order:

====================  ============================================================================
``ETPACK``, 0, 1      magic and version, 8 bytes
header length         uint32, little-endian
header                JSON: ``sha256`` and ``size`` of the ONNX file; ``tensors``, [offset in the
                      ONNX file, number of float32 values, number of non-zeros] each, ascending;
                      ``parts``, the lengths of the three parts that follow
rest                  the ONNX file without those values, zlib
masks                 a bit for each value, most significant first, each tensor from a new byte on
values                the non-zeros of all tensors as float16, all low bytes before all high ones,
                      zlib
====================  ============================================================================

A tensor whose values float16 does not hold exactly stays in the rest; `rounded` makes them so.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.errors import BackboneError

MAGIC = b"ETPACK\x00\x01"
PACKED = ".etpack"
SMALLEST = 64  # values; a smaller tensor costs less in the rest
LONGEST_HEADER = 1 << 20
LARGEST = 1 << 30  # bytes of an ONNX file: what says more is not a packed one


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose float32 initializers hold float16 values; zeros stay zeros.

    Raises
    ------
    BackboneError
        If a weight is too large for float16.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if not np.isfinite(halves).all():
            raise BackboneError(f"the weights {tensor.name!r} are too large for float16")
        tensor.CopyFrom(numpy_helper.from_array(halves.astype(np.float32), tensor.name))
    return copy


def pack(content: bytes) -> bytes:
    """The packed form of an ONNX file's bytes.

    Raises
    ------
    BackboneError
        If a tensor's values cannot be found in the bytes (they lie in another file).
    """
    model = onnx.load_from_string(content)
    tensors: list[tuple[int, int, int]] = []
    masks, values, rest = [], [], []
    at = 0
    for tensor in model.graph.initializer:
        raw = tensor.raw_data
        if tensor.data_type != onnx.TensorProto.FLOAT or len(raw) < 4 * SMALLEST:
            continue
        numbers = np.frombuffer(raw, "<f4")
        if not _exact(numbers):
            continue
        offset = content.find(raw, at)
        if offset < 0:
            raise BackboneError(f"the weights {tensor.name!r} are not in the file, in order")
        kept = numbers.view("<u4") != 0  # minus zero is kept
        rest.append(content[at:offset])
        tensors.append((offset, numbers.size, int(kept.sum())))
        masks.append(np.packbits(kept).tobytes())
        values.append(numbers[kept].astype("<f2"))
        at = offset + len(raw)
    rest.append(content[at:])
    halves = np.concatenate([*values, np.zeros(0, "<f2")]).view(np.uint8).reshape(-1, 2)
    parts = [
        zlib.compress(b"".join(rest), 9),
        b"".join(masks),
        zlib.compress(halves.T.tobytes(), 9),
    ]
    header = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "tensors": tensors,
        "parts": [len(part) for part in parts],
    }
    text = json.dumps(header).encode()
    return b"".join([MAGIC, struct.pack("<I", len(text)), text, *parts])


def packed_sha256(path: Path) -> str:
    """The sha256 of the ONNX file that a packed file unpacks to, by its header alone.

    Raises
    ------
    BackboneError
        If it is no packed backbone.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC) + 4)
            (length,) = struct.unpack_from("<I", start, len(MAGIC))
            header = json.loads(file.read(min(length, LONGEST_HEADER)))
        if start[: len(MAGIC)] != MAGIC:
            raise ValueError("another format")
        return str(header["sha256"])
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise BackboneError(f"{path}: is not a packed backbone ({error})") from error


def unpack(packed: bytes) -> bytes:
    """The ONNX file's bytes that a packed form was made of.

    Raises
    ------
    BackboneError
        If it is no packed backbone, of a newer version, or damaged.
    """
    if not packed.startswith(MAGIC[:6]):
        raise BackboneError("is not a packed backbone")
    if packed[: len(MAGIC)] != MAGIC:
        raise BackboneError("is a packed backbone of another version: update edgetransfer")
    try:
        header, rest, masks, halves = _read(packed)
        content = _joined(header, rest, masks, halves)
    except (ValueError, KeyError, TypeError, IndexError, struct.error, zlib.error) as error:
        raise BackboneError(f"is damaged ({error}): install edgetransfer again") from error
    if hashlib.sha256(content).hexdigest() != header["sha256"]:
        raise BackboneError("is damaged (its checksum differs): install edgetransfer again")
    return content


def _exact(numbers: np.ndarray[Any, np.dtype[np.float32]]) -> bool:
    with np.errstate(over="ignore"):
        return bool((numbers.astype("<f2").astype("<f4").view("<u4") == numbers.view("<u4")).all())


def _read(packed: bytes) -> tuple[dict[str, Any], bytes, bytes, np.ndarray[Any, Any]]:
    (length,) = struct.unpack_from("<I", packed, len(MAGIC))
    start = len(MAGIC) + 4
    header = json.loads(packed[start : start + length])
    first, second, third = (int(n) for n in header["parts"])
    if not 0 <= header["size"] <= LARGEST or min(first, second, third) < 0:
        raise ValueError("sizes that make no sense")
    at = start + length
    if at + first + second + third != len(packed):
        raise ValueError("it ends too early or too late")
    counted = sum(int(kept) for _, _, kept in header["tensors"])
    values = _inflated(packed[at + first + second :], 2 * counted)
    halves = np.frombuffer(values, np.uint8).reshape(2, counted).T
    left = header["size"] - 4 * sum(int(count) for _, count, _ in header["tensors"])
    rest = _inflated(packed[at : at + first], left)
    return header, rest, packed[at + first : at + first + second], halves


def _inflated(part: bytes, size: int) -> bytes:
    """A compressed part that must have a size; no more than that is ever made."""
    if not 0 <= size <= LARGEST:
        raise ValueError("sizes that make no sense")
    stream = zlib.decompressobj()
    content = stream.decompress(part, size) if size else b""
    if len(content) != size or (size and stream.decompress(stream.unconsumed_tail, 1)):
        raise ValueError("a part of another size than it says")
    return content


def _joined(
    header: dict[str, Any], rest: bytes, masks: bytes, halves: np.ndarray[Any, Any]
) -> bytes:
    content = np.zeros(header["size"], np.uint8)
    numbers = np.ascontiguousarray(halves).view("<f2")[:, 0].astype("<f4")
    bits = np.frombuffer(masks, np.uint8)
    at = from_rest = from_masks = from_values = 0
    for offset, count, kept in header["tensors"]:
        before = offset - at
        if before < 0 or count < 0 or offset + 4 * count > len(content):
            raise ValueError("a tensor outside of the file")
        content[at:offset] = np.frombuffer(rest, np.uint8, before, from_rest)
        mask = np.unpackbits(bits[from_masks : from_masks + -(-count // 8)], count=count) != 0
        if int(mask.sum()) != kept:
            raise ValueError("a mask of another number of values")
        dense = np.zeros(count, "<f4")
        dense[mask] = numbers[from_values : from_values + kept]
        content[offset : offset + 4 * count] = dense.view(np.uint8)
        at, from_rest = offset + 4 * count, from_rest + before
        from_masks, from_values = from_masks + -(-count // 8), from_values + kept
    content[at:] = np.frombuffer(rest, np.uint8, len(content) - at, from_rest)
    return content.tobytes()
