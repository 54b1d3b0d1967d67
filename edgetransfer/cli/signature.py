"""Commands that take settings, as commands that take options.

A command is a function of settings classes and of options of its own:

    def train(settings: LinearTraining, *, json_output: JsonOption = False) -> None:

`as_options` makes the settings of what is typed. Every option, its default and its help stand in
the annotations of the settings' fields (`edgetransfer.settings.option`); nothing is said here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from edgetransfer.cli.completing import completion_of
from edgetransfer.settings.assembling import assembled, every_setting, settings_class
from edgetransfer.settings.command_line import flags, is_repeated, is_switch
from edgetransfer.settings.option import (
    Opt,
    Setting,
    parted,
    without_none,
)
from edgetransfer.settings.shared import BACKBONE, MACHINE

LAST_PANELS = (MACHINE, BACKBONE)


def as_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for every setting, for Typer to read."""
    hints = get_type_hints(command, include_extras=True)
    taken: dict[str, Any] = {}
    options: dict[str, inspect.Parameter] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        settings = settings_class(hints[name])
        if settings is None:
            options[name] = parameter.replace(annotation=_annotated(name, parameter, hints[name]))
            continue
        taken[name] = settings[0]
        for setting in offered(hints[name]):
            options.setdefault(setting.name, _parameter(setting))

    @functools.wraps(command)
    def run(**typed: Any) -> None:
        given = {name: assembled(kind, _read(hints[name], typed)) for name, kind in taken.items()}
        own = {name: typed[name] for name in hints if name in typed and name not in taken}
        command(**given, **own)

    listed = [option.replace(kind=option.KEYWORD_ONLY) for option in options.values()]
    run.__signature__ = inspect.Signature(sorted(listed, key=_place))  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in listed}
    return run


def offered(hint: Any) -> Iterator[Setting]:
    """The settings of a class that are options, those of nested groups among them."""
    return (setting for setting in every_setting(hint) if isinstance(setting.said, Opt))


def _annotated(name: str, parameter: inspect.Parameter, hint: Any) -> Any:
    """The annotation of an option of the command's own, which may be an `Opt` too."""
    plain, said = parted(hint)
    if not isinstance(said, Opt):
        return hint
    stripped, optional = without_none(plain)
    required = parameter.default is inspect.Parameter.empty
    setting = Setting(
        name=name,
        kind=stripped,
        optional=optional,
        default=None if required else parameter.default,
        required=required,
        said=said,
    )
    return _parameter(setting).annotation


def _parameter(setting: Setting) -> inspect.Parameter:
    """A setting as the parameter of a function that Typer reads."""
    opt = setting.said
    assert isinstance(opt, Opt)
    kind, default = _typed(setting, opt)
    common: dict[str, Any] = {
        "metavar": None if kind is bool else opt.metavar or "|".join(setting.choices) or None,
        "help": opt.help or None,
    }
    if default is None:
        common["show_default"] = False
    if (completes := completion_of(opt.metavar)) is not None:
        common["autocompletion"] = completes
    made: Any
    if opt.positional:
        made = typer.Argument(**common)
    else:
        if kind in (int, float) and opt.above is None:
            common |= {"min": opt.least, "max": opt.most}
        made = typer.Option(*flags(setting), rich_help_panel=opt.panel, envvar=opt.envvar, **common)
    optional = default is None and not setting.required
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if setting.required else default,
        annotation=Annotated[kind | None if optional else kind, made],
    )


def _typed(setting: Setting, opt: Opt) -> tuple[Any, Any]:
    """The type of what is typed, and the default as it would be typed."""
    default = setting.default
    if is_switch(setting):
        return bool, default == setting.choices[0]
    if opt.parse is not None and not is_repeated(setting):
        return str, None if setting.required else opt.parse.write(default)
    if setting.item is not None:
        one = str if opt.parse is not None else setting.item
        return list[one], [str(value) for value in default or ()] or None  # type: ignore[valid-type]
    return Literal[setting.choices] if setting.choices else setting.kind, default


def _read(hint: Any, typed: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed, as the settings class takes it."""
    return {s.name: _value(s, s.said, typed[s.name]) for s in offered(hint)}


def _value(setting: Setting, opt: Any, typed: Any) -> Any:
    if is_switch(setting):
        return setting.choices[0 if typed else 1]
    if typed is None:
        return () if setting.item is not None else None
    if opt.parse is not None and not is_repeated(setting):
        return opt.parse.read(setting.flag, typed)
    if setting.item is not None:
        read = opt.parse.read if opt.parse is not None else lambda _flag, one: one
        return tuple(read(setting.flag, one) for one in typed)
    return typed


def _place(option: inspect.Parameter) -> tuple[bool, int]:
    """Where an option stands: what must be given, the command's own panels, the shared ones."""
    _, *beside = get_args(option.annotation) if get_origin(option.annotation) else (None,)
    panel = next((getattr(b, "rich_help_panel", None) for b in beside), None)
    rank = 0 if panel is None else 2 + LAST_PANELS.index(panel) if panel in LAST_PANELS else 1
    return option.default is not inspect.Parameter.empty, rank
