"""``edgetransfer analyse``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_found, print_line, say, show_log, shown_progress
from edgetransfer.settings.analyse import AnalysisSettings

if TYPE_CHECKING:
    from edgetransfer.reports.analyse import (
        AgreementRecord,
        AnalysedEpochRecord,
        AnalysedNetworkRecord,
        AnalysisRecord,
    )


def analyse(settings: AnalysisSettings, *, json_output: JsonOption = False) -> None:
    """Show how networks were trained, how alike they answer, and how they take pruning.

    Of a network that pretrain made, or is making: how its mask moved from epoch to epoch and, with
    --random-labels, what was memorised in which phase. With --data: a linear head on each network,
    trained alike, and for each pair the share of photos that both name alike and the cross-entropy
    of their answers. With --one-shot: accuracy after pruning by magnitude, without and with
    batch-norm tuned.

    Examples:

    edgetransfer analyse sparse.onnx

    edgetransfer analyse sparse-dense.onnx sparse.onnx --data photos

    edgetransfer analyse dense.onnx --data photos --one-shot 50,70,80,90
    """
    from edgetransfer.jobs.analysing import analyse as run

    show_log(json_output)
    with shown_progress() as progress:
        report = run(settings, progress=progress)
    print_found(report, _show, as_json=json_output)


def _show(report: AnalysisRecord) -> None:
    for warning in report["warnings"]:
        say(f"warning: {warning}")
    data = report["data"]
    if data is not None:
        judged = "mean per class" if data["metric"] == "mean_per_class" else "top-1"
        say(
            f"{data['tested']} photos of {data['tested_on']}, {judged}, heads by {report['solver']}"
        )
    for network in report["networks"]:
        _show_network(network)
    for pair in report["agreement"]:
        _show_pair(pair)


def _show_network(network: AnalysedNetworkRecord) -> None:
    sparsity, accuracy = network["sparsity"], network["accuracy"]
    line = network["name"]
    line += "  in training" if sparsity is None else f"  {sparsity:.1%} zeros"
    print_line(line + ("" if accuracy is None else f"  accuracy {accuracy:.1%}"))
    training = network["training"]
    if training is not None:
        moved = training["mean_iou"]
        known = "" if moved is None else f", with the one before {moved:.2f} in common on average"
        print_line(f"  {training['policy']}: {training['masks']} new masks{known}")
        print_line("  epoch  phase    zeros   top-1    IoU  revived  memorised  true class")
        for epoch in training["epochs"]:
            print_line(f"  {_epoch(epoch)}")
        saw = training["saw_tooth"]
        if saw is not None:
            print_line(
                f"  random labels: {saw['sparse']:.1%} memorised at the end of sparse phases, "
                f"{saw['dense']:.1%} of the dense ones behind them ({100 * saw['step']:+.1f} points"
                f"; true class {100 * saw['truth']:+.1f})"
            )
    for level in network["one_shot"]:
        untuned, tuned = level["untuned"], level["tuned"]
        print_line(
            f"  at once to {level['sparsity']:.0%}: {untuned['kept_head']:.1%} as it is, "
            f"{tuned['kept_head']:.1%} with batch-norm tuned; with a head of its own "
            f"{untuned['own_head']:.1%}, {tuned['own_head']:.1%}"
        )


def _epoch(epoch: AnalysedEpochRecord) -> str:
    def share(value: float | None, width: int) -> str:
        return f"{'–' if value is None else f'{value:.1%}':>{width}}"

    iou = epoch["mask_iou"]
    twin = " twin" if epoch["leg"] == "twin" else ""
    return (
        f"{epoch['epoch']:>5}  {epoch['phase']:<6}{share(epoch['sparsity'], 8)}"
        f"{share(epoch['top1'], 8)}{'–' if iou is None else f'{iou:.2f}':>7}"
        f"{share(epoch['revived'], 9)}{share(epoch['memorised'], 11)}"
        f"{share(epoch['true_class'], 12)}{twin}"
    )


def _show_pair(pair: AgreementRecord) -> None:
    low, high = pair["interval"]
    alike = pair["same_mistake"]
    mistakes = "" if alike is None else f"; of common mistakes {alike:.1%} are the same"
    print_line(
        f"{pair['first']} and {pair['second']}: same class for {pair['agreement']:.1%} of the "
        f"photos ({low:.1%} to {high:.1%}){mistakes}; cross-entropy {pair['cross_entropy']:.3f} "
        f"(at least {pair['entropy']:.3f})"
    )
