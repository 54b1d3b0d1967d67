"""All settings of one stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from edgetransfer.confidential import without_secrets
from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.config import dump, located
from edgetransfer.settings.forms import BYTES
from edgetransfer.settings.learning import KeepingSettings, LearningSettings
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import (
    DEFAULT_BACKBONE,
    MACHINE,
    BackboneName,
    BackboneReading,
    Engine,
    TestData,
    Threads,
    Workers,
)

SOURCE = "Source"


@dataclass(frozen=True, kw_only=True)
class StreamSettings(BackboneReading):
    """One stream: where images come from, what is made of them, where it is kept.

    Parameters
    ----------
    backbone
        An ONNX file, or the name of a bundled backbone.
    source
        ``folder:DIR``, ``jsonl:-``, ``tar:GLOB``, ``data:FILE``, ``datasets:NAME``,
        ``http:[HOST:]PORT``, ``video:FILE``, ``redis://…``, ``kafka://…`` or ``mqtt://…``; or
        several, which are taken in together.
    out
        The run folder; made if it is not there, gone on with if it is.
    from_run
        A run of `train` or `finetune` whose photos are learned first, as if they had arrived; its
        backbone and preprocessing are taken where none are given.
    test_data
        Labelled images to test the head on at the end.
    engine_batch
        Images per call of the engine.
    limit
        Stop when the run has accepted so many samples; None for never.
    max_memory
        Resident bytes above which the run saves itself and stops; None for no limit.
    pause_on_battery
        Take nothing in while the machine runs on its battery.
    webhook
        An address that each prediction of a sample without a label is posted to, as JSON.
    webhook_token
        Sent to it as ``Authorization: Bearer``.
    predictions
        A folder that each prediction of a sample without a label is written to, as Parquet.
    metrics_port
        Serve ``/metrics`` and ``/healthz`` on this loopback port, beside any source.
    label, every
        Of a video: the label of its frames, and to take each how manieth.
    repeat
        Begin tar shards anew at their end, each time with new augmented views.
    once
        End when all that is in a watched folder, a stream of Redis or a topic of Kafka has been
        seen.
    token
        That HTTP clients must show; needed where the port is not bound to loopback.
    host_names
        Names that the HTTP server answers to, beside the one that it is bound to.
    max_body
        Bytes of one HTTP request or JSON line.

    Examples
    --------
    >>> from edgetransfer import LearningSettings, StreamSettings
    >>> StreamSettings(source="folder:in", out="run", learning=LearningSettings(views=2))
    StreamSettings(source=('folder:in',), out='run', learning=LearningSettings(…))
    """

    source: Annotated[
        tuple[str, ...],
        Opt(
            "folder:DIR, jsonl:- (or a file), tar:GLOB, data:FILE (whatever --data of train "
            "takes, a folder of features too), datasets:NAME (streamed), http:[HOST:]PORT, "
            "video:FILE, "
            "redis://HOST/STREAM, kafka://HOST/TOPIC or mqtt://HOST/TOPIC; may be repeated.",
            metavar="KIND:WHAT",
        ),
    ]
    out: Annotated[
        Path, Opt("The run folder, new or to go on with.", metavar="RUN", flag="--out -o")
    ]
    backbone: BackboneName = DEFAULT_BACKBONE
    from_run: Annotated[
        Path | None,
        Opt("Learn the photos of a train run first; its backbone, too.", metavar="RUN"),
    ] = None
    test_data: TestData = None
    learning: LearningSettings = field(default_factory=LearningSettings)
    limit: Annotated[
        int | None,
        Opt(
            "End when the run has accepted so many samples.",
            metavar="N",
            panel=SOURCE,
            least=1,
        ),
    ] = None
    repeat: Annotated[bool, Opt("Begin tar shards anew, for ever.", panel=SOURCE)] = False
    once: Annotated[
        bool,
        Opt("End when all that is in the folder, or at the broker, has been seen.", panel=SOURCE),
    ] = False
    label: Annotated[str | None, Opt("Of a video's frames.", metavar="CLASS", panel=SOURCE)] = None
    every: Annotated[
        int, Opt("Take each N-th frame of a video.", metavar="N", panel=SOURCE, least=1)
    ] = 1
    token: Annotated[
        str | None,
        Opt(
            "That HTTP clients must show; needed beyond loopback.",
            metavar="TEXT",
            panel=SOURCE,
            envvar="EDGETRANSFER_TOKEN",
        ),
    ] = None
    host_names: Annotated[
        tuple[str, ...],
        Opt(
            "That the HTTP server answers to, beside its own; may be repeated.",
            metavar="NAME",
            panel=SOURCE,
            flag="--host-name",
        ),
    ] = ()
    max_body: Annotated[
        int,
        Opt(
            "Of one HTTP request or JSON line.",
            metavar="BYTES",
            panel=SOURCE,
            parse=BYTES,
            least=1,
        ),
    ] = 16 * 2**20
    keeping: KeepingSettings = field(default_factory=KeepingSettings)
    engine: Engine = "auto"
    engine_batch: Annotated[
        int, Opt("Images per call of the engine.", metavar="N", panel=MACHINE, least=1)
    ] = 16
    threads: Threads = None
    workers: Workers = None
    nice: Annotated[
        int, Opt("Let other programs go first.", metavar="N", panel=MACHINE, least=0, most=19)
    ] = 0
    max_memory: Annotated[
        int | None,
        Opt("Save and stop beyond that, such as 1G.", metavar="BYTES", panel=MACHINE, parse=BYTES),
    ] = None
    pause_on_battery: Annotated[bool, Opt("Take nothing in while on battery.", panel=MACHINE)] = (
        False
    )
    webhook: Annotated[
        str | None,
        Opt(
            "Post predictions there as JSON, in their order, until they are taken; learning does "
            "not wait for it.",
            metavar="URL",
            panel=SOURCE,
        ),
    ] = None
    webhook_token: Annotated[
        str | None,
        Opt(
            "Sent to the webhook as Authorization: Bearer.",
            metavar="TEXT",
            panel=SOURCE,
            envvar="EDGETRANSFER_WEBHOOK_TOKEN",
        ),
    ] = None
    predictions: Annotated[
        Path | None,
        Opt(
            "Write predictions there as Parquet tables, each once; learning does not wait for it.",
            metavar="DIR",
            panel=SOURCE,
        ),
    ] = None
    metrics_port: Annotated[
        int | None,
        Opt("Serve /metrics and /healthz on 127.0.0.1.", metavar="PORT", panel=MACHINE),
    ] = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        if not self.source or len(set(self.source)) < len(self.source):
            raise UsageError("--source names one source or several, each once")
        if self.token is not None and (
            not self.token.strip()
            or self.token != self.token.strip()
            or not self.token.isprintable()
        ):
            raise UsageError("--token is not empty, and neither begins nor ends with a space")
        if self.metrics_port is not None and not 0 <= self.metrics_port <= 65535:
            raise UsageError(f"--metrics-port lies between 0 and 65535, not {self.metrics_port}")

    def to_config(self) -> dict[str, Any]:
        """TOML values: what opens the backbone on top, the stream's own in ``stream``."""
        table = dump(self)
        reading = ("out", "engine", "from_run", *BackboneReading.__dataclass_fields__)
        return {
            **{name: table[name] for name in reading if name in table},
            "backbone": located(self.backbone),
            "data": without_secrets(", ".join(self.source)),
            "batch_size": self.engine_batch,
            "seed": self.learning.seed,
            "stream": dump(self.learning),
        }
