"""Fixtures of the streams."""

from __future__ import annotations

import base64
import json
import os
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from tests.stream.stream_children import Children
from tests.stream.stream_pictures import PICTURES, label_of, picture


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    started = Children(tmp_path_factory.mktemp("children"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pictures as a folder, as JSON Lines, as tar shards, and as a video."""
    root = tmp_path_factory.mktemp("inputs")
    lines = []
    for i in range(PICTURES):
        path = root / "folder" / label_of(i) / f"{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(i))
        os.utime(path, (1e9, 1e9))
        late = i % 10 == 3
        line = {"id": f"n{i}", "base64": base64.b64encode(picture(i)).decode()}
        lines.append(line if late else {**line, "label": label_of(i)})
        if i % 10 == 9:  # its label comes six samples later
            lines.append({"id": f"n{i - 6}", "label": label_of(i - 6)})
        if i % 17 == 0:  # sent twice
            lines.append(lines[-1])
    (root / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for shard in range(3):
        with tarfile.open(root / f"shard-{shard}.tar", "w") as archive:
            for i in range(shard * PICTURES // 3, (shard + 1) * PICTURES // 3):
                for name, data in ((f"{i}.png", picture(i)), (f"{i}.cls", label_of(i).encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    archive.addfile(member, BytesIO(data))
    return root
