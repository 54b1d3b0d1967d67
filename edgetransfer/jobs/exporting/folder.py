"""An export as a folder, which `predict` and `evaluate` take as a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgetransfer.atomic import temporary_folder
from edgetransfer.backbones import Backbone
from edgetransfer.backbones.writing import write_backbone
from edgetransfer.errors import TakenError
from edgetransfer.jobs.exporting.checking import Evidence, Verified, check_parts
from edgetransfer.jobs.exporting.model_card import model_card
from edgetransfer.merging import is_merged
from edgetransfer.runs import RunFolder
from edgetransfer.runs.pending import Staged, finish_before_reading
from edgetransfer.runs.run_entries import refuse_strange_entries
from edgetransfer.runs.run_folder import BACKBONE, CARD, CONFIG, HEAD, REPORT
from edgetransfer.train.opened_run import UNKNOWN_BELOW, OpenedRun, open_run

README = "README.md"
# Of a report: what says where the run's files were, which is nobody else's business.
PRIVATE = ("run", "warnings")


def check_folder(out: Path) -> None:
    """Refuse a place that holds something; nothing is written.

    Raises
    ------
    TakenError
        If a file is in the way, or a folder that is not empty.
    """
    if out.is_dir():  # perhaps of an export that was cut off, with all of it on disk
        refuse_strange_entries(out)
        finish_before_reading(out)
    RunFolder.check(out)
    if out.is_dir() and RunFolder(out).has_results:
        raise TakenError(f"{out}: holds a run already; choose another --out")


def write_folder(
    out: Path,
    run: OpenedRun,
    report: Mapping[str, Any],
    evidence: Evidence,
    unknown_below: float | None,
    extra: Mapping[str, bytes],
) -> Verified:
    """Write a run's backbone, card, head, labels, report and model card, checked before.

    Parameters
    ----------
    out
        A folder that is owned.
    extra
        More files: their contents by name.

    Raises
    ------
    EdgeTransferError
        If they would not say what the run says; nothing is written then.
    """
    with temporary_folder() as temporary:
        staged = RunFolder(temporary)
        backbone = _write_backbone(run, staged)
        _write_head(run, backbone, staged, unknown_below)
        staged.write_labels(run.head.classes)
        staged.write_config({"backbone": BACKBONE, "batch_size": run.batch_size})
        opened = open_run(staged.path)
        verified = check_parts(opened.backbone, opened.head, run, evidence)
        staged.write_json(REPORT, {k: v for k, v in report.items() if k not in PRIVATE})
        for name, content in extra.items():
            staged.write(name, content)
        whole = next((name for name in extra if name.endswith(".onnx")), None)
        card = model_card(
            run,
            report,
            verified,
            name=out.name,
            unknown_below=unknown_below,
            whole=whole,
        )
        staged.write(README, card)
        RunFolder.begin(out, resume=False, overwrite=False)
        # All of them or none, whatever happens; the config last: it makes a run of a folder.
        with Staged(out) as exported:
            for name in sorted(
                (path.name for path in staged.path.iterdir()), key=lambda name: name == CONFIG
            ):
                exported.write(name, staged.file(name).read_bytes())
            exported.commit("export", remove=(), aside=None)
    return verified


def _write_backbone(run: OpenedRun, staged: RunFolder) -> Backbone:
    """The run's own file if it is one whole file; else the graph up to the features."""
    backbone, path = run.backbone, staged.file(BACKBONE)
    content = backbone.path.read_bytes()
    is_whole = hashlib.sha256(content).hexdigest() == backbone.sha256  # no weights beside it
    if is_whole and not backbone.variant and not is_export(run):
        card = replace(
            backbone.card, sha256=backbone.sha256, features=backbone.cut.tensor, assumed=False
        )
        staged.write(BACKBONE, content)
        staged.write(CARD, card.to_toml())
        return Backbone.open(path)
    card = replace(
        backbone.card, features=backbone.body.graph.output[0].name, parent=backbone.sha256
    )
    return write_backbone(backbone.body, card, path, made_from=backbone.path)


def is_export(run: OpenedRun) -> bool:
    """Whether a run was opened from a merged file, whose graph has a head in it."""
    return not run.config and is_merged(run.backbone.path)


def _write_head(
    run: OpenedRun, backbone: Backbone, staged: RunFolder, unknown_below: float | None
) -> None:
    metadata = {
        **run.head.metadata,
        "backbone": backbone.identity,
        "backbone_name": backbone.name,
        "preprocessing": json.dumps(asdict(run.backbone.preprocessing)),
        "features": backbone.cut.tensor,
    }
    if unknown_below is not None:
        metadata[UNKNOWN_BELOW] = repr(unknown_below)
    run.head.save(staged.file(HEAD), metadata)
