"""How a function of settings is called: with an object, or with the fields by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from edgetransfer.errors import UsageError
from edgetransfer.settings.assembling import assembled, check_names, described, every_setting

Kind = TypeVar("Kind")
Function = TypeVar("Function", bound=Callable[..., Any])


def taken(kind: type[Kind], settings: Kind | None, given: dict[str, Any]) -> Kind:
    """The settings object, or one of what is given by name.

    Raises
    ------
    UsageError
        If both are given, a name is unknown or a value missing.
    """
    if settings is not None:
        if given:
            raise UsageError(f"give settings or {', '.join(given)}, not both")
        return settings
    check_names(given, kind)
    return assembled(kind, given)


def settings_by_name(*kinds: Any) -> Callable[[Function], Function]:
    """Let help and completion know the settings that a function takes in its ``**given``."""

    def with_settings(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        names = {parameter.name for parameter in own}
        known = {
            setting.name: setting
            for kind in kinds
            for setting in every_setting(kind)
            if setting.name not in names
        }
        named = [
            inspect.Parameter(
                setting.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if setting.required else setting.default,
            )
            for setting in known.values()
        ]
        shown = signature.replace(parameters=[*own, *named])  # with what it returns
        function.__signature__ = shown  # type: ignore[attr-defined]
        text = inspect.cleandoc(function.__doc__ or "")
        function.__doc__ = f"{text}\n\nSettings\n--------\n{described(*kinds, without=names)}\n"
        return function

    return with_settings
