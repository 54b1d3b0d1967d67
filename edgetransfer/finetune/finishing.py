"""What stands after the last step: the sparse ONNX file, its test in the engine, the report."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edgetransfer.features import FeatureExtractor
from edgetransfer.finetune.baseline import VALIDATION
from edgetransfer.finetune.batchnorm import Statistics
from edgetransfer.finetune.checking import check_zeros, compare_with_torch, doubts
from edgetransfer.finetune.context import Context
from edgetransfer.finetune.export import save_backbone, trained_body
from edgetransfer.finetune.plan import memory_of
from edgetransfer.finetune.recipe import departures
from edgetransfer.finetune.solver import FullFinetuner
from edgetransfer.metrics import accuracy_of, peak_memory_bytes
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import BACKBONE, CHECKPOINT, HEAD, REPORT
from edgetransfer.train.checkpoint import TrainingState
from edgetransfer.train.opening import head_metadata
from edgetransfer.train.recipe import recipe_report
from edgetransfer.train.runs import common_report


def finish(
    context: Context,
    run: RunFolder,
    solver: FullFinetuner,
    extractor: FeatureExtractor,
    *,
    statistics: Statistics,
    state: TrainingState,
) -> dict[str, Any]:
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
        head.save(run.file(HEAD), head_metadata(exported, engine))
        test = context.table(sparse, splits.test, "test features")
    final = None
    if len(test.labels):
        accuracy = accuracy_of(test.labels, head.predict(test.features), len(head.classes))
        final = {"top1": accuracy.top1, "mean_per_class": accuracy.mean_per_class}
    masks, linear = plan.masks, state.notes.get("linear")
    estimated = memory_of(plan, context.training, context.own)
    warnings = doubts(
        before=linear if linear is not None and linear["on"] == VALIDATION else None,
        after=state.history[-1],
        metric=context.training.judged_by.name,
        estimated=estimated,
        taken=(peak_memory_bytes() or 0) - context.memory_before,
    )
    common = common_report(context.training, context.backbone, engine, splits, context.skipped)
    report = {
        **common,
        "recipe": recipe_report(context.training.recipe, departures(context.training, context.own)),
        "warnings": [*common["warnings"], *context.doubts, *warnings],
        "n_test": len(test.labels),
        "epochs": state.history,
        "final": final,
        "stages": context.clock.seconds,
        "masked": {
            "before": masks.zeros,
            "after": masks.zeros,
        },
        "features": {"computed": context.computed, "from_cache": context.from_cache},
        "linear": linear,
        "trained": {
            "from": plan.parts.first,
            "parameters": sum(p.numel() for p in solver.parameters.values()),
            "frozen_engine": asdict(extractor.engine.choice),
            "device": str(plan.device),
            "precision": "bfloat16" if plan.bfloat16 else "float32",
            "mean": list(context.backbone.preprocessing.mean),
            "std": list(context.backbone.preprocessing.std),
        },
        "exported": {
            "sha256": exported.sha256,
            "sparsity": exported.sparsity,
            "difference_from_torch": difference,
        },
        "estimated_memory_bytes": estimated,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    run.write_json(REPORT, report)
    run.file(CHECKPOINT).unlink(missing_ok=True)
    return report
