"""safetensors files whose bytes depend on nothing but what is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from edgetransfer.untrusted_json import json_value


def safetensors_bytes(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The file with its header's keys sorted: the library orders them at random."""
    from safetensors.numpy import save

    content = save(dict(tensors), metadata=dict(metadata))
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(json_value(content[8 : 8 + length]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]
