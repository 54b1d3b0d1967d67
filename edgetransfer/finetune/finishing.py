"""What stands after the last step: the sparse ONNX file, its test in the engine, the report."""

from __future__ import annotations

from edgetransfer.features import FeatureExtractor
from edgetransfer.finetune.baseline import VALIDATION
from edgetransfer.finetune.batchnorm import Statistics
from edgetransfer.finetune.checking import check_zeros, compare_with_torch, doubts
from edgetransfer.finetune.choice import (
    FINETUNED,
    LINEAR,
    Held,
    hold_linear,
    say_linear,
)
from edgetransfer.finetune.context import Context
from edgetransfer.finetune.export import save_backbone, trained_body
from edgetransfer.finetune.lane_choice import LaneChoice
from edgetransfer.finetune.plan import memory_of
from edgetransfer.finetune.recipe import departures
from edgetransfer.finetune.solver import FullFinetuner
from edgetransfer.metrics import peak_memory_bytes
from edgetransfer.metrics.conventions import metric_of
from edgetransfer.reports.train import FinetuningRecord, JudgedRecord
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import BACKBONE, CHECKPOINT, HEAD, REPORT
from edgetransfer.settings.recipe import recipe_record
from edgetransfer.train.checkpoint import TrainingState
from edgetransfer.train.opening import head_metadata
from edgetransfer.train.scoring import accuracies


def finish(
    context: Context,
    run: RunFolder,
    solver: FullFinetuner,
    extractor: FeatureExtractor,
    *,
    statistics: Statistics,
    state: TrainingState,
    lanes: LaneChoice,
) -> FinetuningRecord:
    """Export backbone and head, test them in the sparse engine, and write the report."""
    plan, splits = context.plan, context.splits
    body = trained_body(plan.body, solver.module.values, statistics)
    exported = save_backbone(body, context.backbone, run.file(BACKBONE))
    engine = context.open(exported.frozen(context.training.batch_size))
    head = solver.head
    check_zeros(exported.path, plan.masks.violations(exported.body))
    with context.extractor(engine) as sparse:
        difference = compare_with_torch(context, exported, solver, extractor, sparse)
        if context.own.refit_head:
            head = context.fitted_head(sparse, "features")
        finetuned = accuracies(head, context.table(sparse, splits.val, "validation features"))
    metric = metric_of(context.training.metric, context.training.data).name
    linear: JudgedRecord | None = state.notes.get("linear")
    held, kept = Held(backbone=exported, engine=engine, head=head), FINETUNED
    texts = doubts(
        estimated=memory_of(plan, context.training, context.own),
        taken=(peak_memory_bytes() or 0) - context.memory_before,
    )
    if linear and finetuned and linear["on"] == VALIDATION and linear[metric] >= finetuned[metric]:
        if context.own.keep == "better":
            held, kept = hold_linear(context, run), LINEAR
        texts.append(say_linear(linear, finetuned, metric, kept, len(context.usable(splits.val))))
    held.head.save(run.file(HEAD), head_metadata(held.backbone, held.engine))
    with context.extractor(held.engine) as sparse:
        test = context.table(sparse, splits.test, "test features")
    final = accuracies(held.head, test)
    common = context.common_record(held.engine)
    report: FinetuningRecord = {
        **common,
        "recipe": recipe_record(context.training.recipe, departures(context.training, context.own)),
        "warnings": [*common["warnings"], *texts],
        "n_test": len(test.labels),
        "epochs": state.history,
        "final": final,
        "stages": context.clock.seconds,
        "masked": {"before": plan.masks.zeros, "after": plan.masks.zeros},
        "features": context.features,
        "linear": linear,
        "finetuned": {"on": VALIDATION, **finetuned} if finetuned else None,
        "kept": kept,
        "trained": {
            "from": plan.parts.first,
            "parameters": sum(p.numel() for p in solver.parameters.values()),
            "frozen_engine": extractor.engine.choice.record,
            "device": str(plan.device),
            "precision": "bfloat16" if plan.bfloat16 else "float32",
            "training_engine": {
                "name": "sparse" if lanes.layers else "torch",
                "layers": len(lanes.layers),
                "reason": lanes.reason,
            },
            "mean": list(context.backbone.preprocessing.mean),
            "std": list(context.backbone.preprocessing.std),
        },
        "exported": {
            "sha256": held.backbone.sha256,
            "sparsity": held.backbone.sparsity,
            "difference_from_torch": difference,
        },
        "estimated_memory_bytes": memory_of(plan, context.training, context.own),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    run.write_json(REPORT, report)
    if kept == FINETUNED:  # else --resume --keep finetuned goes on from it
        run.file(CHECKPOINT).unlink(missing_ok=True)
    return report
