"""Photos that cannot be taken, through whole streams: bombs, and what kills whoever decodes it."""

from __future__ import annotations

import base64
import json
import os
import signal
import tarfile
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest

from edgetransfer.runs import RunFolder
from edgetransfer.stream import check, refusals, run_stream
from edgetransfer.stream.keeping.in_hand import MOST_DEATHS
from edgetransfer.stream.refusals import Refusals
from tests.data.test_tar_members import GIB, header
from tests.images.test_bombs import BOMBS
from tests.stream.stream_children import Children
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for

GOOD = 12
TAKEN = ("text in a png",)  # decoded within the limits
SOURCES = ("folder", "jsonl", "tar")


def source_of(kind: str, photos: dict[str, tuple[bytes, str]], root: Path) -> str:
    """A source of photos and their labels, in the order of their names."""
    if kind == "folder":
        for name, (data, label) in photos.items():
            path = root / "in" / label / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (1e9, 1e9))
        return f"folder:{root / 'in'}"
    if kind == "jsonl":
        lines = [
            {"id": name, "base64": base64.b64encode(data).decode(), "label": label}
            for name, (data, label) in photos.items()
        ]
        (root / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return f"jsonl:{root / 'in.jsonl'}"
    with tarfile.open(root / "in.tar", "w") as archive:
        for name, (data, label) in photos.items():
            for ending, content in ((".png", data), (".cls", label.encode())):
                member = tarfile.TarInfo(name + ending)
                member.size = len(content)
                archive.addfile(member, BytesIO(content))
    return f"tar:{root / 'in.tar'}"


def refused(run: Path) -> Counter[str]:
    """How often each sample stands in a run's list, by its name."""
    lines = (run / "skipped.jsonl").read_text().splitlines()
    return Counter(Path(json.loads(line)["id"]).stem for line in lines)


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    return {
        f"bomb-{i}": make() for i, (name, make) in enumerate(BOMBS.items()) if name not in TAKEN
    }


@pytest.mark.parametrize("kind", SOURCES)
def test_a_stream_goes_on_beside_bombs_and_names_each_once(
    kind: str, bombs: dict[str, bytes], tmp_path: Path
) -> None:
    good = {f"good-{i:02}": (picture(i), label_of(i)) for i in range(GOOD)}
    bad = {name: (data, label_of(i)) for i, (name, data) in enumerate(bombs.items())}
    mixed = dict(sorted({**good, **bad}.items(), key=lambda item: zlib.crc32(item[1][0])))
    source = source_of(kind, mixed, tmp_path)
    run = tmp_path / "run"
    for start in range(3):
        report = run_stream(
            settings_for(source, run, once=kind == "folder"), feature_source=fake_feature_source()
        )
        assert report["accepted"] == GOOD
        assert report["refused"] == len(bombs), "it may have been mended meanwhile"
        assert refused(run) == Counter(dict.fromkeys(bombs, 1)), f"start {start}"
    assert check(run).findings == ()


def test_a_shard_that_is_a_bomb_is_named_beside_others(tmp_path: Path) -> None:
    """What lies before and behind it is learned; `tests/data/test_tar_bombs.py` has all kinds."""
    for i in range(3):
        photos = {f"good-{j:02}": (picture(j), label_of(j)) for j in range(4 * i, 4 * i + 4)}
        source_of("tar", photos, tmp_path)
        os.replace(tmp_path / "in.tar", tmp_path / f"{2 * i}.tar")
    (tmp_path / "1.tar").write_bytes(header("a.png", 12 * GIB) + bytes(1024))
    (tmp_path / "3.tar").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(2**16))
    for _ in range(2):
        report = run_stream(
            settings_for(f"tar:{tmp_path / '*.tar'}", tmp_path / "run"),
            feature_source=fake_feature_source(),
        )
        assert report["accepted"] == GOOD
        assert {"1", "3"} <= set(refused(tmp_path / "run"))
        assert set(refused(tmp_path / "run").values()) == {1}


DEADLY = (("folder", True), ("jsonl", False))  # each start of a stream takes a while
OTHERS = (("folder", False), ("jsonl", True), ("tar", True), ("tar", False))


@pytest.mark.parametrize(
    ("kind", "alone"), [*DEADLY, *(pytest.param(*case, marks=pytest.mark.slow) for case in OTHERS)]
)
def test_what_kills_the_process_is_set_aside_and_nothing_else(
    children: Children, tmp_path: Path, kind: str, alone: bool
) -> None:
    """Whoever starts it again and again, as systemd does, gets to the end of the source."""
    deadly = 5  # neither the first nor the last of what is decoded together
    names = [f"{i:02}" for i in range(GOOD)]
    photos = {name: (picture(i), label_of(i)) for i, name in enumerate(names)}
    source = source_of(kind, photos, tmp_path)
    run, acks = tmp_path / "run", tmp_path / "acks"
    order = {
        "source": source,
        "out": str(run),
        "acks": str(acks),
        "once": kind == "folder",
        "deadly": deadly,
        "alone": alone,
    }
    ends = []
    while not ends or ends[-1] == -signal.SIGKILL:
        assert len(ends) <= MOST_DEATHS, "for ever"
        children.start(dict(order))
        ends.append(children.status())
    assert ends == [-signal.SIGKILL] * (1 if alone else MOST_DEATHS) + [0], children.said()
    for _ in range(2):
        assert refused(run) == {names[deadly]: 1}
        assert "convert the photo" in (run / "skipped.jsonl").read_text()
        assert json.loads((run / "report.json").read_text())["accepted"] == GOOD - 1
        children.start(dict(order))
        assert children.status() == 0, "it is known from then on"
    assert check(run).findings == ()


def test_a_refusal_is_written_once_and_again_for_another_reason(tmp_path: Path) -> None:
    path = tmp_path / "skipped.jsonl"
    for count in (1, 2):
        refused = Refusals(RunFolder(tmp_path))
        for _ in range(2):
            for name, reason in (("a", "x"), ("b", "x"), ("a", "y"), ("\ud800", "\n")):
                refused.add(name, reason)
        assert refused.count == 8
        lines = [tuple(json.loads(line).values()) for line in path.read_text().splitlines()]
        assert lines == [("a", "x"), ("b", "x"), ("a", "y"), ("\ud800", "\n")], count


@pytest.mark.parametrize("left", [b'{"id": "a", "rea', b"\xff", b"x" * 200_000])
def test_a_line_that_was_cut_off_spoils_no_other(left: bytes, tmp_path: Path) -> None:
    path = tmp_path / "skipped.jsonl"
    path.write_bytes(left)
    for _ in range(2):
        Refusals(RunFolder(tmp_path)).add("a", "x")
    assert path.read_bytes() == left + b'\n{"id": "a", "reason": "x"}\n'


def test_a_list_of_refusals_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "WRITTEN", 10)
    for start in range(3):
        refused = Refusals(RunFolder(tmp_path))
        for i in range(7):
            refused.add(f"{start} {i}", "x")
        assert refused.count == 7
    assert len((tmp_path / "skipped.jsonl").read_text().splitlines()) == 10


def test_a_list_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "skipped.jsonl").symlink_to(tmp_path / "elsewhere")
    refused = Refusals(RunFolder(tmp_path / "run"))
    refused.add("a", "x")
    assert refused.count == 1
    assert (tmp_path / "elsewhere").read_text() == "kept"
