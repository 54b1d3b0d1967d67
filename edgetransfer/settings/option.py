"""An option, written once: in the annotation of the field of a settings class that it sets.

    batch_size: Annotated[int, Opt("Of SGD.", metavar="N", least=1)] = 64

The command line makes its signature of it (`edgetransfer.cli.signature`), ``config.toml`` its key
(`edgetransfer.settings.config`), and `settle` its check. Nothing heavy is loaded here.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from edgetransfer.errors import UsageError
from edgetransfer.typed import misfit


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a value that has no text of its own is written on the command line.

    Parameters
    ----------
    read
        From the option's flag, for the message of its `UsageError`, and the text.
    write
        The text that `read` makes this value of; None for a value that is said by silence.
    of_each
        Whether the option is repeated and this is the form of one of its values.
    """

    read: Callable[[str, str], Any]
    write: Callable[[Any], str | None]
    of_each: bool = False


@dataclass(frozen=True)
class Opt:
    """A setting as an option: all but its name, type and default, which the field says.

    Parameters
    ----------
    help
        What the help page says of it.
    metavar
        What stands for its value; the choices of a `Literal` if not given.
    panel
        The heading under which it stands.
    flag
        As it is typed, short ones behind: ``--data -d``; of the field's name if None. Two with a
        slash are those of yes and no, or of the two choices of a `Literal`.
    parse
        How its text is read, where it is not the text of its type.
    least, most
        The smallest and the largest value; both may be taken.
    above
        What every value is above.
    envvar
        The variable of the environment that it may come from.
    positional
        Whether it is an argument and no option.
    free
        Whether it may differ when a run is resumed, since it cannot change the result.
    """

    help: str = ""
    metavar: str | None = None
    panel: str | None = None
    flag: str | None = None
    parse: Form | None = None
    least: float | None = None
    most: float | None = None
    above: float | None = None
    envvar: str | None = None
    positional: bool = False
    free: bool = False


@dataclass(frozen=True)
class NoOption:
    """A setting that is for Python alone.

    Parameters
    ----------
    why
        The reason.
    free
        As of `Opt`.
    """

    why: str
    free: bool = False


@dataclass(frozen=True, kw_only=True)
class Shown:
    """How a command shows settings that were made for another: beside the class, in `Annotated`.

    Parameters
    ----------
    without
        The settings that it does not have, and why.
    help
        What it says of settings in place of their own words.
    """

    without: Mapping[str, str] = field(default_factory=dict)
    help: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A field of a settings class, with what its annotation says.

    Parameters
    ----------
    kind
        Its type, without None and without what is written beside it.
    optional
        Whether it may be None.
    default
        None where there is none and ``required`` says so.
    said
        What is written beside the type; None of a group, whose ``kind`` has settings of its own.
    """

    name: str
    kind: Any
    optional: bool
    default: Any
    required: bool
    said: Opt | NoOption | None

    @property
    def is_group(self) -> bool:
        """Whether it is a settings class of its own."""
        return is_dataclass(self.kind) and self.said is None

    @property
    def flag(self) -> str:
        """How messages call it."""
        given = self.said.flag if isinstance(self.said, Opt) else None
        return given.split()[0] if given else f"--{self.name.replace('_', '-')}"

    @property
    def item(self) -> Any:
        """The type of one value of a tuple of any length; None of anything else."""
        inner = get_args(self.kind)
        return inner[0] if get_origin(self.kind) is tuple and inner[1:] == (...,) else None

    @property
    def choices(self) -> tuple[str, ...]:
        """What a `Literal` takes, also as one of several; empty of other types."""
        return choices_of(self.item or self.kind)


def choices_of(kind: Any) -> tuple[str, ...]:
    """The choices of a `Literal`, or of several in one union; empty of other types."""
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(choice for part in get_args(kind) for choice in choices_of(part))
    return get_args(kind) if get_origin(kind) is Literal else ()


def settings_of(kind: Any) -> tuple[Setting, ...]:
    """The settings of a class: its own first, then those of the groups that it is made of."""
    return _settings_of(kind)


@functools.cache
def _settings_of(kind: Any) -> tuple[Setting, ...]:
    hints = get_type_hints(kind, include_extras=True)
    known = {known.name: known for known in fields(kind)}
    order = [n for owner in kind.__mro__ for n in inspect.get_annotations(owner) if n in known]
    found = []
    for name in dict.fromkeys(order):
        made = known[name].default_factory
        usual = known[name].default if made is MISSING else made()
        plain, said = parted(hints[name])
        stripped, optional = without_none(plain)
        found.append(
            Setting(
                name=name,
                kind=stripped,
                optional=optional,
                default=None if usual is MISSING else usual,
                required=usual is MISSING,
                said=said,
            )
        )
    return tuple(found)


def parted(hint: Any) -> tuple[Any, Opt | NoOption | None]:
    """A type, and what is written beside it."""
    if get_origin(hint) is not Annotated:
        return hint, None
    plain, *beside = get_args(hint)
    return plain, next((said for said in beside if isinstance(said, Opt | NoOption)), None)


def without_none(kind: Any) -> tuple[Any, bool]:
    """A type without None, and whether None was part of it."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind, False
    left = tuple(part for part in get_args(kind) if part is not type(None))
    return (left[0] if len(left) == 1 else Union[left]), len(left) < len(get_args(kind))  # noqa: UP007


def settle(settings: Any) -> None:
    """Make of the given values those of the declared types, and refuse what is out of bounds.

    Strings become paths and paths strings, lists tuples; one value is a tuple of one.

    Raises
    ------
    UsageError
        If a value is none of the choices, or beyond its bounds.
    """
    for setting in settings_of(type(settings)):
        given = getattr(settings, setting.name)
        if given is None and (setting.optional or setting.is_group):
            continue
        value = _converted(setting, given)
        if value is not given:
            object.__setattr__(settings, setting.name, value)
        told = setting.is_group or setting.choices  # choices say themselves what they are
        if not told and (text := misfit(value, setting.kind, setting.flag)) is not None:
            raise UsageError(f"{text}: {value!r}")
        for one in value if setting.item is not None else (value,):
            _check(setting, one)


def _converted(setting: Setting, value: Any) -> Any:
    if setting.item is not None:
        several = value if isinstance(value, tuple | list) else (value,)
        return tuple(_as_kind(setting.item, one) for one in several)
    if get_origin(setting.kind) is tuple and isinstance(value, list):
        return tuple(value)
    return _as_kind(setting.kind, value)


def _as_kind(kind: Any, value: Any) -> Any:
    """A path as a string, or a string as a path, where the other is meant."""
    if (kind is Path and isinstance(value, str)) or (kind is str and isinstance(value, Path)):
        return kind(value)
    return value


def _check(setting: Setting, value: Any) -> None:
    if setting.choices and value not in setting.choices:
        raise UsageError(f"{setting.flag} is one of {', '.join(setting.choices)}, not {value!r}")
    if isinstance(setting.said, Opt):
        for text in _broken_bounds(setting.said, value):
            raise UsageError(f"{setting.flag} {text}, not {value}")


def _broken_bounds(opt: Opt, value: Any) -> Iterator[str]:
    if (opt.least, opt.most, opt.above) == (None, None, None):
        return
    least, most, above = (_written(opt, bound) for bound in (opt.least, opt.most, opt.above))
    silent = None if opt.parse is None else opt.parse.write(None)
    number = "is a number" if silent is None else f"is {silent} or a number"
    if isinstance(value, bool | str) or value != value:
        yield number
    elif opt.above is not None and not (
        opt.above < value < float("inf") and (opt.most is None or value <= opt.most)
    ):
        yield f"{number} above {above}" + ("" if opt.most is None else f", up to {most}")
    elif opt.least is not None and opt.most is not None and not opt.least <= value <= opt.most:
        yield f"lies between {least} and {most}"
    elif opt.least is not None and value < opt.least:
        yield f"must be at least {least}"
    elif opt.most is not None and value > opt.most:
        yield f"must be at most {most}"


def _written(opt: Opt, bound: float | None) -> str:
    """A bound as it would be typed."""
    if bound is None:
        return ""
    return f"{bound:g}" if opt.parse is None else str(opt.parse.write(bound))
