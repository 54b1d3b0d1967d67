"""Backbones by name: those that ship with the project, and those that were brought here."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path

from edgetransfer.atomic import write_atomically
from edgetransfer.backbones.card import card_path
from edgetransfer.backbones.packing import PACKED, packed_sha256, unpack
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
    """Name and file of every bundled backbone, ``models/NAME/NAME.onnx`` or ``.etpack``."""
    found = sorted(p for p in models_folder().glob("*/*") if p.suffix in (".onnx", PACKED))
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
        return expanded(found) if found.suffix == PACKED else found
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


def expanded(packed: Path) -> Path:
    """The ONNX file of a packed one, in the cache folder, with its card; made once.

    What is there is taken only if it has the bytes that it should have.

    Raises
    ------
    BackboneError
        If the packed file is damaged, or the cache folder cannot be written.
    """
    sha256 = packed_sha256(packed)
    folder = default_cache_folder() / "bundled" / f"{packed.stem}-{sha256[:12]}"
    out, card = folder / f"{packed.stem}.onnx", card_path(packed)
    if not (out.is_file() and _sha256(out) == sha256):
        try:
            content = unpack(packed.read_bytes())
        except BackboneError as error:
            raise BackboneError(f"{packed}: {error}") from error
        _keep(out, content)
    if not (card_path(out).is_file() and card_path(out).read_bytes() == card.read_bytes()):
        _keep(card_path(out), card.read_bytes())
    return out


def _keep(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise BackboneError(
            f"{path}: the bundled backbone cannot be kept in the cache folder ({error.strerror}); "
            "EDGETRANSFER_CACHE names another"
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
