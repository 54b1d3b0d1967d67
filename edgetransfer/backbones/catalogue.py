"""Backbones by name: those that ship with the project, and those that were brought here."""

from __future__ import annotations

import difflib
from pathlib import Path

from edgetransfer.backbones.records import RECORDS, plain_name, record_of
from edgetransfer.errors import BackboneError
from edgetransfer.paths import default_cache_folder


def models_folder() -> Path:
    """Where the bundled backbones are: inside an installed package, or beside its source."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def installed_folder() -> Path:
    """Where `edgetransfer backbones get` puts what it brings."""
    return default_cache_folder() / "backbones"


def bundled() -> dict[str, Path]:
    """Name and ONNX file of every bundled backbone: ``models/NAME/NAME.onnx``."""
    found = sorted(models_folder().glob("*/*.onnx"))
    return {path.stem: path for path in found if path.stem == path.parent.name}


def installed() -> dict[str, Path]:
    """Name and ONNX file of every backbone that was brought here."""
    return {path.stem: path for path in sorted(installed_folder().glob("*.onnx"))}


def is_known(backbone: str) -> bool:
    """Whether a text is a file, or the name of a backbone that is here."""
    return Path(backbone).expanduser().is_file() or _named(backbone) is not None


def resolve(backbone: str | Path) -> Path:
    """The ONNX file that a person means by a path or a name.

    A file comes before a bundled backbone, and that before one that was brought here; in names,
    case, hyphens and underscores do not count.

    Raises
    ------
    BackboneError
        If there is neither such a file nor such a name; it says what is near, and what brings
        it.
    """
    path = Path(backbone).expanduser()
    if path.is_file():
        return path
    found = _named(str(backbone))
    if found is not None:
        return found
    if path.is_dir():
        raise BackboneError(f"{backbone}: is a folder; give the ONNX file in it, or a name")
    record = record_of(str(backbone))
    if record is not None:
        raise BackboneError(
            f"{record.name} is not here yet: `edgetransfer backbones get {record.name}` brings it"
        )
    raise BackboneError(
        f"{backbone}: no such file, and no backbone has that name; {_near(backbone)}"
    )


def _named(name: str) -> Path | None:
    here = installed() | bundled()
    if name in here:
        return here[name]
    return {plain_name(known): path for known, path in here.items()}.get(plain_name(name))


def _near(backbone: str | Path) -> str:
    here = sorted(bundled() | installed())
    known = {plain_name(name): name for name in (*(r.name for r in RECORDS), *here)}
    wanted = plain_name(Path(backbone).name.removesuffix(".onnx"))
    close = [known[name] for name in difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)]
    close += [name for plain, name in known.items() if wanted in plain and name not in close][:3]
    if not close:
        return f"here are: {', '.join(here) or 'none'}; `edgetransfer backbones` lists all"
    away = [name for name in close if name not in here]
    get = f"; `edgetransfer backbones get {away[0]}` brings one" if away else ""
    return f"near it: {', '.join(close)}{get}"
