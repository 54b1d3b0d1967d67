"""A sparse ONNX file as a small one: bit masks and the non-zeros in 8 or 16 bits.

A packed file unpacks to the bytes of the ONNX file that it was made from, so that a backbone has
one sha256 on every machine, whatever wrote it. It holds, in this order:

====================  ============================================================================
``ETPACK``, 0, 2      magic and version, 8 bytes
header length         uint32, little-endian
header                JSON: ``sha256`` and ``size`` of the ONNX file; ``tensors``, [offset in the
                      ONNX file, number of float32 values, number of non-zeros, number of output
                      channels if they are stored as steps and whole numbers, else 0] each,
                      ascending; ``parts``, the lengths of the five parts that follow
rest                  the ONNX file without those values, zlib
masks                 a bit for each value, most significant first, each tensor from a new byte on
halves                the non-zeros of tensors that float16 holds, all low bytes before all high
                      ones, zlib
steps                 float32, little-endian, of every output channel of the other tensors, zlib
whole numbers         int8, the non-zeros of those tensors as multiples of their channel's step,
                      entropy coded by zlib
====================  ============================================================================

A tensor whose values neither form holds to the bit stays in the rest; `rounding` makes them so.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgetransfer.backbones.rounding import as_steps, from_steps
from edgetransfer.errors import BackboneError
from edgetransfer.types import Float32Array
from edgetransfer.untrusted_json import json_value

MAGIC = b"ETPACK\x00\x02"
PACKED = ".etpack"
SMALLEST = 64  # values; a smaller tensor costs less in the rest
LONGEST_HEADER = 1 << 20
PARTS = 5
LARGEST = 1 << 30  # bytes of an ONNX file: what says more is not a packed one


def pack(content: bytes) -> bytes:
    """The packed form of an ONNX file's bytes.

    Raises
    ------
    BackboneError
        If a tensor's values cannot be found in the bytes (they lie in another file).
    """
    model = onnx.load_from_string(content)
    tensors: list[tuple[int, int, int, int]] = []
    masks, halves, steps, whole, rest = [], [], [], [], []
    at = 0
    for tensor in model.graph.initializer:
        raw = tensor.raw_data
        if tensor.data_type != onnx.TensorProto.FLOAT or len(raw) < 4 * SMALLEST:
            continue
        numbers = np.frombuffer(raw, "<f4")
        multiples = as_steps(numpy_helper.to_array(tensor))
        if multiples is None and not _exact(numbers):
            continue
        offset = content.find(raw, at)
        if offset < 0:
            raise BackboneError(f"the weights {tensor.name!r} are not in the file, in order")
        kept = numbers.view("<u4") != 0  # minus zero is kept
        rest.append(content[at:offset])
        channels = 0 if multiples is None else len(multiples[0])
        tensors.append((offset, numbers.size, int(kept.sum()), channels))
        masks.append(np.packbits(kept).tobytes())
        if multiples is None:
            halves.append(numbers[kept].astype("<f2"))
        else:
            steps.append(multiples[0].astype("<f4").tobytes())
            whole.append(multiples[1].ravel()[kept].tobytes())
        at = offset + len(raw)
    rest.append(content[at:])
    joined = np.concatenate([*halves, np.zeros(0, "<f2")]).view(np.uint8).reshape(-1, 2)
    parts = [
        zlib.compress(b"".join(rest), 9),
        b"".join(masks),
        zlib.compress(joined.T.tobytes(), 9),
        zlib.compress(b"".join(steps), 9),
        _coded(b"".join(whole)),
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
            header = json_value(file.read(min(length, LONGEST_HEADER)))
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
        header, parts = _read(packed)
        content, checksum = _joined(header, parts), header["sha256"]
    except (ValueError, KeyError, TypeError, IndexError, struct.error, zlib.error) as error:
        raise BackboneError(f"is damaged ({error}): install edgetransfer again") from error
    if hashlib.sha256(content).hexdigest() != checksum:
        raise BackboneError("is damaged (its checksum differs): install edgetransfer again")
    return content


def _exact(numbers: np.ndarray[Any, np.dtype[np.float32]]) -> bool:
    with np.errstate(over="ignore"):
        return bool((numbers.astype("<f2").astype("<f4").view("<u4") == numbers.view("<u4")).all())


@dataclass(frozen=True)
class _Parts:
    """The parts of a packed file, read."""

    rest: bytes
    masks: bytes
    halves: Float32Array
    steps: Float32Array
    whole: NDArray[np.int8]


def _coded(numbers: bytes) -> bytes:
    """Bytes without repeats, so that only how often each occurs can be used."""
    coder = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(numbers) + coder.flush()


def _read(packed: bytes) -> tuple[dict[str, Any], _Parts]:
    (length,) = struct.unpack_from("<I", packed, len(MAGIC))
    start = len(MAGIC) + 4
    header = json_value(packed[start : start + length])
    sizes = [int(n) for n in header["parts"]]
    if len(sizes) != PARTS or not 0 <= header["size"] <= LARGEST or min(sizes) < 0:
        raise ValueError("sizes that make no sense")
    ends = start + length + np.cumsum(sizes, dtype=object)
    if ends[-1] != len(packed):
        raise ValueError("it ends too early or too late")
    parts = [packed[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    tensors = [tuple(int(n) for n in tensor) for tensor in header["tensors"]]
    if any(len(tensor) != 4 or min(tensor) < 0 for tensor in tensors):
        raise ValueError("a tensor that makes no sense")
    halves = sum(kept for _, _, kept, channels in tensors if not channels)
    whole = sum(kept for _, _, kept, channels in tensors if channels)
    values = np.frombuffer(_inflated(parts[2], 2 * halves), np.uint8).reshape(2, halves).T
    steps = _inflated(parts[3], 4 * sum(channels for *_, channels in tensors))
    left = header["size"] - 4 * sum(count for _, count, _, _ in tensors)
    return header, _Parts(
        rest=_inflated(parts[0], left),
        masks=parts[1],
        halves=np.ascontiguousarray(values).view("<f2")[:, 0].astype(np.float32),
        steps=np.frombuffer(steps, "<f4").astype(np.float32),
        whole=np.frombuffer(_inflated(parts[4], whole), np.int8),
    )


def _inflated(part: bytes, size: int) -> bytes:
    """A compressed part that must have a size; no more than that is ever made."""
    if not 0 <= size <= LARGEST:
        raise ValueError("sizes that make no sense")
    stream = zlib.decompressobj()
    content = stream.decompress(part, size) if size else b""
    if len(content) != size or (size and stream.decompress(stream.unconsumed_tail, 1)):
        raise ValueError("a part of another size than it says")
    return content


def _joined(header: dict[str, Any], parts: _Parts) -> bytes:
    content = np.zeros(header["size"], np.uint8)
    bits = np.frombuffer(parts.masks, np.uint8)
    at = from_rest = from_masks = from_halves = from_channels = from_whole = 0
    for offset, count, kept, channels in header["tensors"]:
        before = offset - at
        if before < 0 or offset + 4 * count > len(content) or (channels and count % channels):
            raise ValueError("a tensor outside of the file")
        content[at:offset] = np.frombuffer(parts.rest, np.uint8, before, from_rest)
        mask = np.unpackbits(bits[from_masks : from_masks + -(-count // 8)], count=count) != 0
        if int(mask.sum()) != kept:
            raise ValueError("a mask of another number of values")
        if channels:
            numbers = np.zeros(count, np.int8)
            numbers[mask] = parts.whole[from_whole : from_whole + kept]
            steps = parts.steps[from_channels : from_channels + channels]
            values = from_steps(steps, numbers.reshape(channels, -1)).ravel()
            from_whole, from_channels = from_whole + kept, from_channels + channels
        else:
            values = np.zeros(count, np.float32)
            values[mask] = parts.halves[from_halves : from_halves + kept]
            from_halves += kept
        content[offset : offset + 4 * count] = values.astype("<f4", copy=False).view(np.uint8)
        at, from_rest = offset + 4 * count, from_rest + before
        from_masks += -(-count // 8)
    content[at:] = np.frombuffer(parts.rest, np.uint8, len(content) - at, from_rest)
    return content.tobytes()
