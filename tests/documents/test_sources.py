"""Every source and sink of docs/sources.md, by its lines, with what is installed here.

`docs/programs/examples.py` runs them in environments of their own, for which it needs a registry.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY
from tests.documents.programs import program

EXAMPLES = program("examples")
SECTIONS = dict(EXAMPLES.sections(EXAMPLES.PAGE.read_text("utf-8")))
PROGRAMS = ("redis-server", "redis-cli", "mosquitto", "openssl")
PORT = re.compile(r"\b87\d\d\b")


def needed(script: str) -> Iterator[Requirement]:
    """What the lines with pip ask for, the project's extras written out."""
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    waiting = [
        Requirement(word)
        for line in re.findall(r"^pip install (.*)$", script, re.M)
        for word in shlex.split(line)
    ]
    while waiting:
        asked = waiting.pop()
        if asked.name != "edgetransfer":
            yield asked
        for extra in asked.extras if asked.name == "edgetransfer" else ():
            waiting += map(Requirement, extras["optional-dependencies"][extra])


def absent(script: str) -> str | None:
    """What is not installed here, or nothing."""
    for asked in needed(script):
        if asked.marker is not None and not asked.marker.evaluate():
            continue
        try:
            found = metadata.version(asked.name)
        except metadata.PackageNotFoundError:
            return asked.name
        if not asked.specifier.contains(found, prereleases=True):
            return str(asked)
    return next((p for p in PROGRAMS if f"{p} " in script and not shutil.which(p)), None)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def here(script: str) -> str:
    """A script that installs nothing, has ports of its own, and waits until they answer."""
    script = re.sub(r"^pip install .*$", "", script, flags=re.M)
    ports = {port: str(free_port()) for port in sorted(set(PORT.findall(script)))}
    assert len(ports) <= 1, "whose port is waited for?"
    script = PORT.sub(lambda found: ports[found[0]], script)
    for port in ports.values():
        answers = f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.2; done"
        script = re.sub(r"^sleep \d+$", answers, script, flags=re.M)
    assert not re.search(r"^sleep", script, re.M)
    return script


def test_sections_are_read() -> None:
    """Of each kind one; and whatever is asked of pip is an extra that there is."""
    assert {"A folder", "Redis", "Kafka", "S3", "Ray, Spark, Dask"} <= SECTIONS.keys()
    for blocks in SECTIONS.values():
        script = EXAMPLES.script_of(blocks)
        assert "pip install" in script
        list(needed(script))
        here(script)


@pytest.mark.slow
@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_runs_as_it_is_written(title: str, tmp_path: Path) -> None:
    script = EXAMPLES.script_of(SECTIONS[title])
    if (missing := absent(script)) is not None:
        pytest.skip(f"{missing} is not installed")
    EXAMPLES.write_photos(tmp_path / "photos")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("python", ""), ("edgetransfer", " -m edgetransfer")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable}{words} "$@"\n')
        (programs / name).chmod(0o755)
    found = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        ["bash", "-c", here(script)],
        cwd=tmp_path,
        env={**os.environ, "PATH": os.pathsep.join(found), "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout
