"""``edgetransfer doctor``."""

from __future__ import annotations

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, say


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
    say(f"system     {found['system']}, {found['python']}")
    cpu = found["cpu"]
    say(f"processor  {cpu['model']}, {cpu['cores']} cores, {' '.join(cpu['flags']) or 'no AVX2'}")
    say(f"engine     {found['engine']['name']}: {found['engine']['reason']}")
    for plan in found["tuned"]:
        say(f"  {plan['backbone']:<14} {plan['engine']}: {plan['reason']}")
    if not found["tuned"]:
        say("  nothing measured yet: `edgetransfer tune BACKBONE` finds the fastest engine for it")
    for name, absent in found["engines"].items():
        say(f"  {name:<14} {absent or 'runs here'}")
    for name, version in found["packages"].items():
        say(f"  {name:<14} {version or 'not installed'}")
    say(f"backbones  {', '.join(found['backbones']) or 'none'}")
    say(f"cache      {found['cache']}")
    if found["notice"]:
        say(found["notice"])
