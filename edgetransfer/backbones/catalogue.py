"""Backbones that ship with the project, by name."""

from __future__ import annotations

from pathlib import Path

from edgetransfer.errors import BackboneError


def models_folder() -> Path:
    """Where the bundled backbones are: inside an installed package, or beside its source."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def bundled() -> dict[str, Path]:
    """Name and ONNX file of every bundled backbone: ``models/NAME/NAME.onnx``."""
    found = sorted(models_folder().glob("*/*.onnx"))
    return {path.stem: path for path in found if path.stem == path.parent.name}


def resolve(backbone: str | Path) -> Path:
    """The ONNX file that a person means by a path or a name.

    Raises
    ------
    BackboneError
        If there is neither such a file nor such a name.
    """
    path = Path(backbone).expanduser()
    if path.is_file():
        return path
    known = bundled()
    if str(backbone) in known:
        return known[str(backbone)]
    kind = "is a folder" if path.is_dir() else "no such file"
    raise BackboneError(
        f"{backbone}: {kind}, and no bundled backbone has that name "
        f"(there are: {', '.join(known) or 'none'})"
    )
