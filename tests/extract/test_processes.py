"""Tables made by several processes of this machine: the same bytes, and every end of a process."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer import Extraction
from edgetransfer.cli.main import main
from edgetransfer.errors import EdgeTransferError, UsageError
from edgetransfer.extract import extract, local, pool
from edgetransfer.extract.paying import GAIN, Watch, Work, paying
from edgetransfer.extract.pool import shares_of
from tests.extract.test_extract import contents
from tests.photos import backbone, photos  # noqa: F401
from tests.waiting import until

pytest.importorskip("pyarrow.parquet")

MIDDLE = "part-00002"
# A process that comes to an end after the statistics of a table, and before the table.
ENDING = f"""
import errno, os, signal, sys
from edgetransfer.extract import member, part
write = part.write_table
def end(path, *rest):
    if path.stem == {MIDDLE!r}:
        {{how}}
    write(path, *rest)
part.write_table = end
member.main()
"""
SCRIPT = """
import sys
from edgetransfer import extract_features
extract_features(data=sys.argv[1], out=sys.argv[2], backbone=sys.argv[3], rows=20,
                 engine="onnxruntime", max_bad=0.5, processes=2)
print("once")
"""


@pytest.fixture
def settings(photos, backbone, tmp_path):  # noqa: F811
    (photos / "train" / "red" / "000.png").write_bytes(b"no photo")
    return Extraction(
        data=photos,
        out=tmp_path / "features",
        backbone=str(backbone),
        rows=20,
        max_bad=0.5,
        engine="onnxruntime",
        threads=2,
        processes=1,
    )


def children():
    return psutil.Process().children()


def alone(*_args):
    raise AssertionError("no other process was to be started")


def ending(monkeypatch, how):
    command = (sys.executable, "-c", ENDING.format(how=how))
    monkeypatch.setattr(pool, "COMMAND", command)


@pytest.mark.slow
@pytest.mark.parametrize("given_by", ["file", "stdin"])
def test_a_script_without_a_guard(settings, tmp_path, given_by):
    """Nothing of the main module runs again, and there need be no file of it."""
    extract(settings)
    words = [str(settings.data), str(tmp_path / "beside"), settings.backbone]
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script) if given_by == "file" else "-", *words]
    done = subprocess.run(
        command, input=SCRIPT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout == "once\n", done.stderr
    assert contents(tmp_path / "beside") == contents(settings.out)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3, 9])
def test_the_same_bytes_and_one_bar(settings, tmp_path, processes):
    settings = replace(settings, jsonl=True)
    extract(settings)
    told = []
    beside = replace(settings, out=tmp_path / "beside", processes=processes)
    report = extract(beside, progress=lambda *what: told.append(what))
    assert report["tables_made"] == 4
    assert [row["id"] for row in report["problems"]] == ["train/red/000.png"]
    assert contents(beside.out) == contents(settings.out)
    assert {(stage, total) for stage, _, total in told} == {("features", 75)}
    counts = [done for _, done, _ in told]
    assert counts == sorted(counts)
    assert counts[-1] == 75
    assert not children()


def test_one_bar_of_one_process(settings):
    told = []
    extract(settings, progress=lambda *what: told.append(what))
    assert {(stage, total) for stage, _, total in told} == {("features", 75)}
    assert told[-1][1] == 75


ENDS = [
    ("os.kill(os.getpid(), signal.SIGKILL)", "was killed, perhaps for want of memory"),
    *(
        pytest.param(how, said, marks=pytest.mark.slow)
        for how, said in [
            ("os.kill(os.getpid(), signal.SIGABRT)", "SIGABRT"),
            ("os._exit(3)", "exit code 3"),
            ("1 / 0", r"exit code 1 \(ZeroDivisionError"),
        ]
    ),
]


@pytest.mark.parametrize(("how", "said"), ENDS)
def test_a_process_that_dies_in_the_middle(settings, tmp_path, monkeypatch, how, said):
    """The error names the table and the mend; the same call goes on: nothing lost or twice."""
    extract(settings)
    beside = replace(settings, out=tmp_path / "beside", processes=2)
    with monkeypatch.context() as patched:
        ending(patched, how)
        with pytest.raises(EdgeTransferError, match=f"{MIDDLE}.*{said}.*the same call goes on"):
            extract(beside)
    assert not children()
    assert not (beside.out / f"{MIDDLE}.parquet").exists()
    there = len(list(beside.out.glob("*.parquet")))
    monkeypatch.setattr(local, "Pool", alone)
    report = extract(replace(beside, processes=None))
    assert report["tables_made"] == 4 - there
    assert contents(beside.out) == contents(settings.out)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("raise OSError(errno.ENOSPC, 'No space left on device', str(path))", OSError, MIDDLE),
        ("raise MemoryError('all of it')", MemoryError, "all of it"),
    ],
)
def test_an_error_comes_as_it_would_from_this_process(settings, monkeypatch, how, kind, said):
    ending(monkeypatch, how)
    with pytest.raises(kind, match=said):
        extract(replace(settings, processes=2))
    assert not children()


@pytest.mark.slow
def test_a_backbone_that_was_exchanged_meanwhile(settings, monkeypatch):
    how = "from edgetransfer.errors import BackboneError; raise BackboneError('another file')"
    ending(monkeypatch, how)
    with pytest.raises(EdgeTransferError, match="another file") as raised:
        extract(replace(settings, processes=2))
    assert raised.value.exit_code == 3


def test_ctrl_c_ends_the_processes(settings):
    """While this one waits for them: they take tasks, and never answer."""
    deaf = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.stdin.read()"
    script = (
        "import signal, sys; from edgetransfer.extract import pool;"
        "from edgetransfer.cli.main import main;"
        # A shell's background jobs are born without it.
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"pool.COMMAND = (sys.executable, '-c', {deaf!r}); sys.exit(main(sys.argv[1:]))"
    )
    words = [
        *("extract", "--data", str(settings.data), "--out", str(settings.out), "--rows", "20"),
        *("--backbone", settings.backbone, "--engine", "onnxruntime", "--processes", "2"),
    ]
    running = subprocess.Popen(
        [sys.executable, "-c", script, *words], stderr=subprocess.PIPE, text=True
    )
    own = psutil.Process(running.pid)
    until(lambda: len(own.children()) == 2)
    theirs = own.children()
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130, said
    assert "the same command goes on" in said
    until(lambda: not any(map(psutil.Process.is_running, theirs)))


@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them(settings, tmp_path):
    beside = replace(settings, out=tmp_path / "beside")
    words = [str(settings.data), str(beside.out), settings.backbone]
    running = subprocess.Popen([sys.executable, "-c", SCRIPT, *words], stdout=subprocess.DEVNULL)
    own = psutil.Process(running.pid)
    until(lambda: len(own.children()) == 2)
    theirs = own.children()
    running.send_signal(signal.SIGKILL)
    running.wait()
    until(lambda: not any(map(psutil.Process.is_running, theirs)))
    extract(settings)
    extract(beside)
    made = {name: data for name, data in contents(beside.out).items() if not name.startswith(".")}
    assert made == contents(settings.out)


@pytest.mark.slow
def test_what_they_log_is_said_here(settings, monkeypatch, caplog):
    ending(monkeypatch, "import logging; logging.getLogger('edgetransfer.x').warning('a %d', 7)")
    with caplog.at_level(logging.INFO, logger="edgetransfer"):
        extract(replace(settings, processes=2))
    assert [r.getMessage() for r in caplog.records if r.name == "edgetransfer.x"] == ["a 7"]


def test_left_to_itself_it_starts_none_for_a_few_photos(settings, monkeypatch):
    monkeypatch.setattr(local, "Pool", alone)
    extract(replace(settings, processes=None))


@pytest.mark.slow
def test_left_to_itself_it_goes_on_in_as_many_as_pay(settings, tmp_path, monkeypatch):
    extract(settings)
    asked = []

    def two_after_two(work):
        asked.append(work)
        return len(asked)

    monkeypatch.setattr(local, "paying", two_after_two)
    beside = replace(settings, out=tmp_path / "beside", processes=None)
    assert extract(beside)["tables_made"] == 4
    assert [work.tables for work in asked] == [3, 2]
    assert contents(beside.out) == contents(settings.out)


def test_processes_of_others_are_theirs(settings, capsys):
    with pytest.raises(UsageError, match="--processes"):
        replace(settings, on="dask", processes=2)
    assert main(["extract", "-d", "photos", "-o", "out", "--on", "ray", "--processes", "2"]) == 2
    assert "--processes" in capsys.readouterr().err


@given(threads=st.integers(1, 99), processes=st.integers(1, 99))
def test_shares_are_all_of_the_threads(threads, processes):
    shares = shares_of(threads, processes)
    assert len(shares) == processes
    assert sum(shares) == max(threads, processes)
    assert max(shares) - min(shares) <= 1


LONG = Work(seconds=3600, idle=0.2, tables=100, threads=4, most=99)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, 4),
        ({"most": 3}, 3),
        ({"most": 0}, 1),
        ({"idle": 0.0}, 1),
        ({"idle": 0.03}, 1),
        ({"seconds": 20}, 1),
        ({"tables": 1}, 1),
        ({"tables": 0}, 1),
        ({"tables": 2}, 2),
        ({"threads": 1}, 1),
        ({"idle": 0.1, "threads": 2}, 2),
        ({"idle": 0.1, "threads": 2, "tables": 3}, 1),  # the last of three would be made by one
    ],
)
def test_as_many_as_pay(change, wanted):
    assert paying(replace(LONG, **change)) == wanted


@given(
    st.builds(
        Work,
        seconds=st.floats(0, 1e6),
        idle=st.floats(0, 1),
        tables=st.integers(0, 300),
        threads=st.integers(1, 128),
        most=st.integers(0, 300),
    )
)
def test_never_more_than_there_is_and_never_for_nothing(work):
    found = paying(work)
    assert 1 <= found <= max(1, min(work.threads, work.tables, work.most))
    if found > 1:
        assert work.seconds_in(found) < (1 - GAIN) * work.seconds
        # No work is done by nobody: what all cores together can do bounds it from below.
        assert work.seconds_in(found) >= work.seconds * (1 - work.idle)


def test_work_is_what_was_measured(monkeypatch):
    """Of 4 cores this process kept 3 busy, and somebody else half of one."""
    now = {"perf": 0.0, "own": 0.0, "idle": 100.0}
    monkeypatch.setattr("edgetransfer.extract.paying.perf_counter", lambda: now["perf"])
    monkeypatch.setattr("edgetransfer.extract.paying.process_time", lambda: now["own"])
    monkeypatch.setattr("edgetransfer.extract.paying._idle_seconds", lambda: now["idle"])
    watch = Watch()
    now.update(perf=10.0, own=30.0, idle=105.0)
    work = watch.work(done=100, left=900, tables=9, threads=4)
    assert work.seconds == pytest.approx(90)
    assert work.idle == pytest.approx(0.125)
    assert work.most >= 1
