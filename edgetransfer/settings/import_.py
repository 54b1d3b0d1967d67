"""What an import is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import NoOption, Opt, settle
from edgetransfer.settings.shared import CardOverrides


@dataclass(frozen=True, kw_only=True)
class ImportSettings(CardOverrides):
    """What to import, and what the card is to say.

    Parameters
    ----------
    source
        A torch checkpoint, a safetensors file or an ONNX file; None with ``download``.
    out
        The ONNX file to write; its card is written beside it.
    download
        The name of published weights, in place of ``source``.
    architecture
        The only architecture to try; recognised if None.
    scheme
        Whose names the parameters have, where several spell alike; found if None.
    name, licence, origin, pruning
        For the card; the origin is where it comes from, the file's name if None.
    keep_batchnorm
        Leave batch-norm of a checkpoint behind its convolutions, to be trained, or tuned after
        pruning; engines fold it when they open the file, so that speed is the same. Else it is
        folded into them here.
    overwrite
        Whether files that are there may be replaced.

    Examples
    --------
    >>> from edgetransfer import ImportSettings
    >>> ImportSettings(source="resnet50.ckpt", out="resnet50.onnx", pruning="AC/DC").pruning
    'AC/DC'
    """

    source: Annotated[
        Path | None,
        Opt("Torch checkpoint, safetensors or ONNX file.", metavar="[FILE]", positional=True),
    ] = None
    out: Annotated[Path, Opt("The ONNX file to write.", metavar="FILE.onnx", flag="--out -o")]
    download: Annotated[
        str | None,
        Opt(
            "Fetch published weights, by a name that `edgetransfer backbones` lists.",
            metavar="NAME",
        ),
    ] = None
    architecture: Annotated[
        str | None, Opt("The only one to try; recognised if not given.", metavar="NAME")
    ] = None
    scheme: Annotated[
        str | None,
        Opt("Whose names the parameters have, where several spell them alike.", metavar="NAME"),
    ] = None
    name: Annotated[str | None, Opt("For the card; also those below.", metavar="TEXT")] = None
    licence: Annotated[str | None, Opt("Terms of use of the weights.", metavar="TEXT")] = None
    origin: Annotated[str | None, NoOption("on the command line it is the file or NAME")] = None
    pruning: Annotated[str | None, Opt("How they were made sparse.", metavar="TEXT")] = None
    keep_batchnorm: Annotated[
        bool,
        Opt(
            "Of a checkpoint: leave batch-norm behind its convolutions, as finetuning trains it "
            "and pruning tunes it (engines fold it when they open the file), or fold it in.",
            flag="--keep-batchnorm/--fold-batchnorm",
        ),
    ] = True
    overwrite: Annotated[bool, Opt("Replace the file and card that are there.")] = False

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        if (self.source is None) == (self.download is None):
            raise UsageError("give a file, or --download NAME, and not both")
