"""Settings as a table of ``config.toml``, back again, and held against one of before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from edgetransfer.confidential import without_secrets
from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.paths import address_of
from edgetransfer.settings.option import settings_of

Kind = TypeVar("Kind")


def dump(settings: Any) -> dict[str, Any]:
    """Settings as TOML values by their names: paths are absolute, what is None is left out.

    Passwords in addresses are not written down; ``${NAME}`` is.
    """
    names = [setting.name for setting in settings_of(type(settings))]
    values = {name: getattr(settings, name) for name in names}
    return {name: _plain(value) for name, value in values.items() if value is not None}


def load(kind: type[Kind], table: Mapping[str, Any], where: Path) -> Kind:
    """The settings that `dump` made a table of; what it lacks is as by default.

    Parameters
    ----------
    where
        The file or folder, for the message.

    Raises
    ------
    RunFolderError
        If the table has other names or values than this version knows.
    """
    try:
        return kind(**table)
    except (TypeError, UsageError) as error:
        raise RunFolderError(f"{where}: its config.toml is not of this version: {error}") from error


def differs(
    kind: type, now: Mapping[str, Any], before: Mapping[str, Any], *, free: Collection[str] = ()
) -> str | None:
    """The first setting in which two tables differ that would change the result; None if none does.

    A setting that a table lacks has the default that stands here.

    Parameters
    ----------
    kind
        The settings class of both.
    free
        Settings that change nothing in this case, beside those that say so themselves.
    """
    for setting in settings_of(kind):
        if setting.name in free or (setting.said is not None and setting.said.free):
            continue
        was = _plain(before.get(setting.name, setting.default))
        value = now.get(setting.name)
        if was != value:
            return f"{setting.name} was {_shown(was)} and is now {_shown(value)}"
    return None


def located(backbone: str) -> str:
    """A backbone as it is found from anywhere: the whole path of a file, the name of another."""
    path = Path(backbone)
    return str(path.resolve()) if path.is_file() else backbone


def _shown(value: Any) -> Any:
    return "not set" if value is None else value


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return without_secrets(address_of(value) or str(value.resolve()))
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(one) for name, one in asdict(value).items() if one is not None}
    return value
