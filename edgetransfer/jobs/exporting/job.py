"""One ONNX file or a folder of what a run learned, checked before it is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from edgetransfer.atomic import temporary_folder, write_together
from edgetransfer.errors import (
    EdgeTransferError,
    EngineError,
    RunFolderError,
    TakenError,
    UsageError,
)
from edgetransfer.jobs.exporting.checking import (
    Evidence,
    Verified,
    check_parts,
    check_whole,
    evidence_of,
)
from edgetransfer.jobs.exporting.folder import check_folder, write_folder
from edgetransfer.jobs.exporting.model_card import Told
from edgetransfer.merging import is_merged, merged, read_merged
from edgetransfer.merging.metadata import check_threshold
from edgetransfer.reports.export import ExportRecord
from edgetransfer.runs import RunFolder
from edgetransfer.runs.owning import owned
from edgetransfer.runs.run_folder import REPORT
from edgetransfer.settings.export import ExportSettings
from edgetransfer.train.opened_run import OpenedRun, open_run
from edgetransfer.typed import misfit

SCRIPT = "predict_onnx.py"
MODEL = "model.onnx"
# Forms that are made of the ONNX file by those who know them best; docs/export.md says more.
ELSEWHERE = {
    ".tflite": "ONNX Runtime runs it on phones; no converter was found that keeps what it says",
    ".xml": "OpenVINO reads it as it is, and `ovc FILE.onnx` makes its own form",
    ".mlmodel": "ONNX Runtime runs it on Apple's devices",
    ".mlpackage": "ONNX Runtime runs it on Apple's devices",
    ".engine": "`trtexec --onnx=FILE.onnx` makes a TensorRT engine of it",
    ".pt": "ONNX Runtime runs it, and needs no PyTorch",
    ".pth": "ONNX Runtime runs it, and needs no PyTorch",
}


@dataclass(frozen=True, kw_only=True)
class _Whole:
    """A merged graph that was checked."""

    content: bytes
    verified: Verified
    difference: float


def export(settings: ExportSettings) -> ExportRecord:
    """Write what a run learned, so that it can be given away; returns a report.

    Before anything is written, its predictions are compared with the run's, on photos that the
    run was trained on, in every engine that can run it.

    Raises
    ------
    EdgeTransferError
        If the run is not finished or ``out`` is taken; or if the export would not say what the
        run says.
    """
    run, out, inside = settings.run, settings.out, settings.preprocessing_inside
    as_file = out.suffix == ".onnx"
    if (way := ELSEWHERE.get(out.suffix.lower())) is not None:
        raise UsageError(f"--out {out}: export to {out.with_suffix('.onnx')}; {way}")
    if settings.unknown_below is not None:
        check_threshold(settings.unknown_below)
    if as_file:
        _check_file(out)
    else:
        check_folder(out)
    with contextlib.ExitStack() as stack:
        opened, report = stack.enter_context(_opened(run, settings.backbone))
        given = settings.unknown_below
        threshold = opened.unknown_below if given is None else given
        evidence = evidence_of(opened)
        whole = None
        if as_file or settings.merge_head or inside:
            whole = _merged(opened, evidence, inside, threshold)
        if as_file:
            assert whole is not None
            # The graph last: what is there of a call that failed is not in the way of the next.
            write_together({out.with_name(SCRIPT): [_script()], out: [whole.content]})
            verified, files = whole.verified, [out.name, SCRIPT]
        else:
            extra = {} if whole is None else {MODEL: whole.content, SCRIPT: _script()}
            with owned(out, "export"):
                verified = write_folder(out, opened, report, evidence, threshold, extra)
            files = sorted(path.name for path in out.iterdir())
    made: ExportRecord = {
        "run": str(run),
        "out": str(out),
        "classes": len(opened.head.classes),
        "sparsity": opened.backbone.sparsity,
        "zeros": sum(layer.zeros for layer in opened.backbone.sparsity_report.layers),
        "unknown_below": threshold,
        "verified": verified.record,
        "merged_difference": None if whole is None else whole.difference,
        "files": files,
    }
    if "accepted" in report:
        made["accepted"], made["learned"] = report["accepted"], report["learned"]
    return made


@contextlib.contextmanager
def _opened(run: Path, backbone: str | None) -> Iterator[tuple[OpenedRun, dict[str, Any]]]:
    """A run of any kind and its report; of a stream, as it stands now."""
    if is_merged(run):
        yield open_run(run, backbone=backbone), {}
        return
    folder = RunFolder.open(run)
    if folder.is_stream:
        from edgetransfer.stream import export as snapshot

        with temporary_folder() as temporary:
            moment = temporary / "run"
            report = snapshot(run, moment)
            yield open_run(moment, backbone=backbone), report
        return
    found = folder.read_report()
    if found is None:
        raise RunFolderError(f"{run}: this run is not finished; --resume goes on with it")
    if (text := misfit(found, Told)) is not None:
        raise RunFolderError(
            f"{folder.file(REPORT)}: damaged, or of another version ({text}); restore it from a "
            "copy"
        )
    yield open_run(run, backbone=backbone), found


def _merged(
    run: OpenedRun, evidence: Evidence, inside: bool, unknown_below: float | None
) -> _Whole:
    """Backbone and head as one graph: for any number of images if it bears that, else for one."""
    try:
        return _checked(run, evidence, inside, unknown_below, open_batch=True)
    except (EdgeTransferError, EngineError):
        return _checked(run, evidence, inside, unknown_below, open_batch=False)


def _checked(
    run: OpenedRun,
    evidence: Evidence,
    inside: bool,
    unknown_below: float | None,
    *,
    open_batch: bool,
) -> _Whole:
    model = merged(
        run.backbone,
        run.head,
        preprocessing_inside=inside,
        unknown_below=unknown_below,
        open_batch=open_batch,
    )
    difference = check_whole(model, run, evidence, inside=inside)
    content = _bytes_of(model, run)
    with temporary_folder() as folder:
        path = folder / MODEL
        path.write_bytes(content)
        read = read_merged(path)
        verified = check_parts(read.backbone, read.head, run, evidence)
    return _Whole(content=content, verified=verified, difference=difference)


def _bytes_of(model: onnx.ModelProto, run: OpenedRun) -> bytes:
    try:
        return bytes(model.SerializeToString(deterministic=True))
    except ValueError as error:
        raise EdgeTransferError(
            f"{run.backbone.path}: too large for one ONNX file ({error}); export to a folder"
        ) from error


def _check_file(out: Path) -> None:
    script = out.with_name(SCRIPT)
    if not out.parent.is_dir():
        raise TakenError(f"--out {out}: there is no folder {out.parent}")
    if out.exists():
        raise TakenError(f"--out {out} is there already: choose another name")
    if script.exists() and script.read_bytes() != _script():
        raise TakenError(f"{script} is there already, and another: choose another folder")


def _script() -> bytes:
    return Path(__file__).with_name(SCRIPT).read_bytes()
