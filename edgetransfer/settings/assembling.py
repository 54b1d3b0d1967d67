"""Settings made of values by their names, wherever among classes and groups they belong."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Container, Iterator, Mapping
from dataclasses import is_dataclass, replace
from typing import Annotated, Any, TypeVar, get_args, get_origin

from edgetransfer.errors import UsageError
from edgetransfer.settings.command_line import in_python
from edgetransfer.settings.option import Opt, Setting, Shown, settings_of

Kind = TypeVar("Kind")


def settings_class(hint: Any) -> tuple[Any, Shown] | None:
    """The settings class that an annotation names, and how it is shown; None if it names none."""
    kind, *beside = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if not is_dataclass(kind):
        return None
    return kind, next((said for said in beside if isinstance(said, Shown)), Shown())


def every_setting(hint: Any) -> Iterator[Setting]:
    """The settings of a class, perhaps with a `Shown` beside it, in the words for there.

    Those of nested groups stand in the groups' place.
    """
    kind, shown = settings_class(hint) or (hint, Shown())
    for setting in settings_of(kind):
        if setting.is_group:
            yield from every_setting(setting.kind)
        elif setting.name in shown.help and isinstance(setting.said, Opt):
            yield replace(setting, said=replace(setting.said, help=shown.help[setting.name]))
        elif setting.name not in shown.without:
            yield setting


def assembled(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """Settings of the values that are theirs or their groups'; what is not there is as by default.

    Raises
    ------
    UsageError
        If a value is out of bounds, or values do not go together.
    """
    found: dict[str, Any] = {}
    for setting in settings_of(kind):
        if setting.name in values:
            found[setting.name] = values[setting.name]
        elif setting.is_group:
            found[setting.name] = assembled(setting.kind, values)
    return kind(**found)


def check_names(given: Mapping[str, Any], *kinds: Any) -> None:
    """Refuse names that no setting has, and calls that lack one that must be given.

    Raises
    ------
    UsageError
        With the nearest name there is.
    """
    classes = [(settings_class(kind) or (kind,))[0] for kind in kinds]
    groups = [setting.name for kind in classes for setting in settings_of(kind) if setting.is_group]
    known = {setting.name: setting for kind in kinds for setting in every_setting(kind)}
    for name in given:
        if name not in known and name not in groups:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"there is no setting {name!r}{meant}")
    missing = [name for name, setting in known.items() if setting.required and name not in given]
    if missing:
        raise UsageError(f"give {' and '.join(missing)}")


def described(*kinds: Any, without: Container[str] = ()) -> str:
    """What settings but those named say of themselves, a paragraph each, as in a docstring.

    Where one speaks of another it calls it as Python does: ``mean``, not ``--mean``.
    """
    lines: list[str] = []
    settings = [one for kind in kinds for one in every_setting(kind)]
    for setting in settings:
        if not isinstance(setting.said, Opt) or setting.name in without:
            continue
        shown = not setting.required and setting.default not in (None, ())
        title = f"{setting.name} = {setting.default!r}" if shown else setting.name
        lines.append(f"{title} ({', '.join(setting.choices)})" if setting.choices else title)
        lines += [
            f"    {line}" for line in textwrap.wrap(in_python(setting.said.help, settings), 92)
        ]
    return "\n".join(lines)
