"""As `test_faults`, with kills by the kernel: strace ends the process at a chosen system call."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.stream.test_faults import begun, look  # noqa: F401  (a fixture)

CHANGES = (
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,ftruncate,"
    "pwrite64"
)
COMMANDS = {
    "rollback": "from edgetransfer.stream import rollback as r; r(run, '50')",
    "forget": "from edgetransfer.stream import forget as f;"
    "f(run, ids=frozenset(['n0']), classes=frozenset(['dark']))",
    "start": "from edgetransfer.stream import OnlineLearner;"
    "from tests.stream.stream_pictures import *;"
    "OnlineLearner(settings_for('', run, keeping={'checkpoint_seconds': 1e9, 'checkpoints': 3}),"
    "eyes=fake_eyes()).__exit__(None, None, None)",
}


def traced(command: str, run: Path, *options: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; from pathlib import Path; run = Path(sys.argv[1]); {COMMANDS[command]}"
    tracing = ("strace", "-f", "-qq", "-e", f"trace={CHANGES}", *options)
    path = os.pathsep.join(sys.path)
    return subprocess.run(
        [*tracing, sys.executable, "-c", code, str(run)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_kill_at_each_system_call(begun: Path, tmp_path: Path, command: str) -> None:  # noqa: F811
    run = tmp_path / "run"

    def fresh() -> None:
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(begun, run)

    if shutil.which("strace") is None:
        pytest.skip("strace is not here")
    fresh()
    first = traced(command, run)
    if "ptrace" in first.stderr.lower() and first.returncode:
        pytest.skip("tracing is not allowed here")
    assert first.returncode == 0, first.stderr[-2000:]
    expected = look(run, tmp_path / "out")
    # strace counts the calls of each name apart, and those of each thread.
    made = Counter(re.findall(r"^(?:\[pid +\d+\] )?(\w+)\(", first.stderr, re.MULTILINE))
    kills = 0
    for name, count in made.items():
        for n in range(1, count + 1):
            fresh()
            killed = traced(command, run, "-e", f"inject={name}:signal=KILL:when={n}")
            if killed.returncode == 0:
                break  # no thread makes as many
            assert killed.returncode == -9
            kills += 1
            assert traced(command, run).returncode == 0
            assert look(run, tmp_path / "out") == expected, (name, n)
    print(f"{command}: {kills} kills")
    assert kills > 15
