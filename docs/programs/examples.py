"""Run the examples of ``docs/sources.md`` as they are written, each in an environment of its own.

    python docs/programs/examples.py --work /tmp/examples [--only Redis] [--wheel FILE] [--uv uv]

A section's lines with a dollar, its Python and the files it names (```` ```sql photos.sql ````)
become one script, which runs in an empty folder with a few photos. ``edgetransfer`` in a call of
pip is a wheel of this checkout. Prints a JSON line a section; ends in 1 if one failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "sources.md"
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.M | re.S)
LONGEST = 900  # seconds of a section


def sections(page: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """The title of each section, and its blocks: language, file, text."""
    for part in re.split(r"^## ", page, flags=re.M)[1:]:
        title, _, text = part.partition("\n")
        blocks = [(found[1], found[2], found[3]) for found in _BLOCK.finditer(text)]
        if any(language == "console" for language, _, _ in blocks):
            yield title.strip(), blocks


def script_of(blocks: list[tuple[str, str, str]]) -> str:
    """One script for bash; the environment is active in it."""
    lines = ["set -em", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for number, (language, file, text) in enumerate(blocks):
        if file:
            lines.append(f"cat > {shlex.quote(file)} <<'END'\n{text}END")
        elif language == "python":
            lines.append(f"cat > block_{number}.py <<'END'\n{text}END\npython block_{number}.py")
        elif language == "console":
            lines += [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    return "\n".join(lines) + "\n"


def write_photos(folder: Path) -> None:
    """Coloured noise in train and test folders of three classes."""
    rng = np.random.default_rng(0)
    for split, n in (("train", 12), ("test", 4)):
        for name, colour in COLOURS.items():
            (folder / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = np.clip(rng.normal(colour, 60, (72, 80, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{i:03d}.jpg")


def wheel_of(work: Path, uv: str | None) -> Path:
    """A wheel of this checkout."""
    pip = [uv, "pip"] if uv else [sys.executable, "-m", "pip"]
    build = [uv, "build", "--wheel", "-o"] if uv else [*pip, "wheel", "--no-deps", "-w"]
    subprocess.run([*build, str(work / "wheel"), str(ROOT)], check=True, stdout=sys.stderr)
    (wheel,) = (work / "wheel").glob("*.whl")
    return wheel


def run_section(
    title: str, blocks: list[tuple[str, str, str]], work: Path, wheel: Path, uv: str | None
) -> dict[str, object]:
    """Run one section, and tell how it ended."""
    place = work / re.sub(r"\W+", "-", title.lower())
    shutil.rmtree(place, ignore_errors=True)
    write_photos(place / "photos")
    venv = place / "venv"
    made = [uv, "venv", "-q", "-p", sys.executable] if uv else [sys.executable, "-m", "venv"]
    subprocess.run([*made, str(venv)], check=True)
    script = script_of(blocks)
    # What stands in quotes is the name of the project, with its extras: here it is the wheel.
    script = re.sub(r"(?<=pip install )('?)edgetransfer", rf"\1{wheel}", script)
    if uv:
        script = script.replace("pip install", f"{uv} pip install -q")
    environment = {
        **os.environ,
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(venv),
        "EDGETRANSFER_CACHE": str(work / "cache"),
    }
    environment.pop("PYTHONPATH", None)
    missing = [
        name
        for name in ("redis-server", "redis-cli", "mosquitto")
        if f"{name} " in script and not shutil.which(name)
    ]
    if missing:
        return {"section": title, "skipped": f"no {missing[0]} here"}
    began = time.monotonic()
    log = place / "log.txt"
    with log.open("w") as out:
        try:
            code = subprocess.run(
                ["bash", "-c", script],
                cwd=place,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=LONGEST,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = 124
    shutil.rmtree(venv, ignore_errors=True)
    row = {"section": title, "passed": code == 0, "seconds": round(time.monotonic() - began)}
    return row if code == 0 else {**row, "code": code, "log": log.read_text()[-1500:]}


def main() -> None:
    """Run all sections, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", action="append", help="a section's title; may be repeated")
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--uv", help="uv in place of pip and venv")
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    wheel = (args.wheel or wheel_of(work, args.uv)).resolve()
    failed = False
    for title, blocks in sections(PAGE.read_text()):
        if args.only and title not in args.only:
            continue
        row = run_section(title, blocks, work, wheel, args.uv)
        failed |= row.get("passed") is False
        print(json.dumps(row), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
