"""How a setting is typed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from edgetransfer.settings.option import Opt, Setting


def flags(setting: Setting) -> tuple[str, ...]:
    """The flags of an option, those of yes and no joined by a slash; empty of an argument."""
    opt = setting.said
    if not isinstance(opt, Opt) or opt.positional:
        return ()
    if opt.flag is not None:
        return tuple(opt.flag.split())
    if setting.kind is bool and setting.default:
        return (f"{setting.flag}/--no-{setting.flag.removeprefix('--')}",)
    return (setting.flag,)


def is_switch(setting: Setting) -> bool:
    """Whether two flags stand for the two choices of a `Literal`."""
    opt = setting.said
    return isinstance(opt, Opt) and "/" in (opt.flag or "") and len(setting.choices) == 2


def is_repeated(setting: Setting) -> bool:
    """Whether the option is given once for each of several values."""
    opt = setting.said
    assert isinstance(opt, Opt)
    return setting.item is not None and (opt.parse is None or opt.parse.of_each)


def typed(setting: Setting, value: Any) -> list[str]:
    """The words that give a setting this value; none where silence says it."""
    opt = setting.said
    assert isinstance(opt, Opt)
    if value is None and opt.parse is None:
        return []
    if setting.kind is bool or is_switch(setting):
        yes, _, no = flags(setting)[0].partition("/")
        said = yes if value is True or value in setting.choices[:1] else no
        return [said] if said else []
    write = str if opt.parse is None else opt.parse.write
    texts = [write(one) for one in value] if is_repeated(setting) else [write(value)]
    known = [text for text in texts if text is not None]
    if opt.positional:
        return known
    return [word for text in known for word in (setting.flag, text)]


def in_python(text: str, settings: Iterable[Setting]) -> str:
    """What an option's help says, with each option called as its setting is in Python.

    Parameters
    ----------
    settings
        Of the function; an option of none of them is an argument's, or another function's.
    """
    words: dict[str, str] = {}
    for setting in settings:
        for both in flags(setting):
            yes, _, no = both.partition("/")
            first, second = setting.choices if is_switch(setting) else (True, False)
            switches = is_switch(setting) or (setting.kind is bool and no)
            words[yes] = f"{setting.name}={first!r}" if switches else setting.name
            words[no or f"--no-{yes.removeprefix('--')}"] = f"{setting.name}={second!r}"

    def said(found: re.Match[str]) -> str:
        return words.get(found[0], found[0].removeprefix("--").replace("-", "_"))

    return re.sub(r"(?<![\w-])--[a-z][\w-]*", said, text)
