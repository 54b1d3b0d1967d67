"""Where a benchmark's numbers come from: the code, the command, the libraries."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from edgetransfer.native.compiling import LIBRARY
from edgetransfer.settings.benchmark import BenchmarkSettings
from edgetransfer.settings.command_line import typed
from edgetransfer.settings.option import Opt, settings_of
from edgetransfer.untrusted_json import json_value
from edgetransfer.version import __version__

PACKAGE = Path(__file__).resolve().parents[1]
# What does not change what is measured, or is asked again.
LEFT_OUT = frozenset(["from_report"])


def benchmark_command(settings: BenchmarkSettings) -> str:
    """The command that asks for the same, in the folder in which it was given."""
    words = ["edgetransfer", "benchmark"]
    for setting in settings_of(BenchmarkSettings):
        if not isinstance(setting.said, Opt) or setting.name in LEFT_OUT:
            continue
        value = getattr(settings, setting.name)
        if setting.required or value != setting.default:
            words += typed(setting, value)
    return shlex.join(words)


def code_provenance() -> dict[str, Any]:
    """Version, commit and checksums of the code that measures.

    ``commit`` is None where it was installed from no repository; ``modified`` says whether files
    differ from it. ``source_sha256`` is over the package's own sources in any case.
    """
    commit, modified = _commit()
    return {
        "version": __version__,
        "commit": commit,
        "modified": modified,
        "source_sha256": _source_sha256(),
        "engine_library": {"file": LIBRARY.name, "sha256": _sha256(LIBRARY)},
    }


def _commit() -> tuple[str | None, bool | None]:
    git = shutil.which("git")
    if git is not None and (PACKAGE.parent / ".git").exists():
        try:
            found = _git(git, "rev-parse", "HEAD")
            changed = _git(git, "status", "--porcelain", "--", PACKAGE.name)
        except (OSError, subprocess.SubprocessError):
            return None, None
        return found, bool(changed)
    try:
        text = distribution("edgetransfer").read_text("direct_url.json")
        installed = json_value(text or "{}")
    except (PackageNotFoundError, ValueError, OSError):
        return None, None
    commit = installed.get("vcs_info", {}).get("commit_id")
    return commit, None if commit is None else False


def _git(git: str, *arguments: str) -> str:
    done = subprocess.run(
        [git, "-C", str(PACKAGE.parent), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
        timeout=10,
    )
    return done.stdout.strip()


def _source_sha256() -> str:
    digest = hashlib.sha256()
    sources = [p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".cpp", ".h", ".hpp")]
    for path in sorted(sources):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
