"""``edgetransfer doctor``."""

from __future__ import annotations

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line


def doctor(json_output: JsonOption = False) -> None:
    """Show versions, the processor, and which engine runs here and why.

    Examples:

    edgetransfer doctor

    edgetransfer doctor --json
    """
    from edgetransfer.jobs.doctor import describe_machine

    found = describe_machine()
    if json_output:
        print_json(found)
        return
    print_line(f"system     {found['system']}, {found['python']}")
    cpu = found["cpu"]
    print_line(
        f"processor  {cpu['model']}, {cpu['cores']} cores, {' '.join(cpu['flags']) or 'no AVX2'}"
    )
    print_line(f"engine     {found['engine']['name']}: {found['engine']['reason']}")
    for plan in found["tuned"]:
        print_line(f"  {plan['backbone']:<14} {plan['engine']}: {plan['reason']}")
    if not found["tuned"]:
        print_line(
            "  nothing measured yet: `edgetransfer tune BACKBONE` finds the fastest engine for it"
        )
    for name, absent in found["engines"].items():
        print_line(f"  {name:<14} {absent or 'runs here'}")
    for name, version in found["packages"].items():
        print_line(f"  {name:<14} {version or 'not installed'}")
    print_line(f"backbones  {', '.join(found['backbones']) or 'none'}")
    print_line(f"cache      {found['cache']}")
    if found["notice"]:
        print_line(found["notice"])
