"""What ``--source`` names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from edgetransfer.data.streams import (
    DataSetSource,
    FolderSource,
    HuggingFaceSource,
    JsonLinesSource,
    MergedSource,
    PrefixedSource,
    Source,
    TarSource,
    VideoSource,
)
from edgetransfer.data.streams.arrivals import Reply, no_reply
from edgetransfer.errors import DataError, UsageError
from edgetransfer.features.table_folder import is_table_folder
from edgetransfer.images import SUFFIXES
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.stream.snapshot import Throughput
from edgetransfer.stream.table_source import TableSource

FORMS = (
    "folder:DIR, jsonl:-, tar:GLOB, data:FILE, datasets:NAME, http:[HOST:]PORT, video:FILE, "
    "redis://HOST/STREAM, kafka://HOST/TOPIC or mqtt://HOST/TOPIC"
)
BROKERS = ("redis", "rediss", "kafka", "mqtt", "mqtts")
NAMING = ("folder", "tar", "data", "datasets", "video")


def open_source(settings: StreamSettings, board: Throughput, reply: Reply = no_reply) -> Source:
    """Open what the settings name as the source, or as several that are taken in together.

    Ids of several are those of each; but the images of a further folder, tar or video have its name
    in front, as two folders may well have a ``cat/1.jpg`` each.

    Parameters
    ----------
    reply
        Told what becomes of each JSON line, and of each message of a broker.

    Raises
    ------
    EdgeTransferError
        If there is no such source, or it cannot be opened.
    """
    opened: list[Source] = []
    named: list[str] = []  # of those whose ids are names of files
    for text in settings.source:
        source = _open_one(text, settings, board, reply)
        kind = text.partition(":")[0]
        if kind in NAMING:
            source = PrefixedSource(source, f"{text}/") if named else source
            named.append(text)
        opened.append(source)
    return opened[0] if len(opened) == 1 else MergedSource(opened)


def _open_one(text: str, settings: StreamSettings, board: Throughput, reply: Reply) -> Source:
    kind, colon, rest = text.partition(":")
    if kind in BROKERS:
        return _broker(text, settings, reply)
    makers: dict[str, Callable[[], Source]] = {
        "folder": lambda: _folder(Path(rest), settings),
        "jsonl": lambda: _json_lines(rest, settings, reply),
        "tar": lambda: TarSource(rest, suffixes=SUFFIXES, repeat=settings.repeat),
        "data": lambda: _data_set(Path(rest)),
        "datasets": lambda: HuggingFaceSource(rest),
        "http": lambda: _http(rest, settings, board),
        "video": lambda: VideoSource(Path(rest), label=settings.label, every=settings.every),
    }
    if not colon or kind not in makers or not rest:
        raise UsageError(f"--source is {FORMS}, not {text!r}")
    return makers[kind]()


def _folder(path: Path, settings: StreamSettings) -> Source:
    if is_table_folder(path):
        raise UsageError(
            f"--source folder:{path}: these are features, not photos; data:{path} learns from them"
        )
    return FolderSource(path, suffixes=SUFFIXES, once=settings.once)


def _data_set(path: Path) -> Source:
    return TableSource(path) if is_table_folder(path) else DataSetSource(path, suffixes=SUFFIXES)


def _json_lines(rest: str, settings: StreamSettings, reply: Reply) -> Source:
    if rest == "-":
        # A reader of its own: Python would wait for the one of sys.stdin at its end.
        stream = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    else:
        try:
            stream = Path(rest).open("rb")  # noqa: SIM115  (it is read as long as there is more)
        except OSError as error:
            raise DataError(f"{rest}: cannot be read: {error.strerror}") from error
    return JsonLinesSource(stream, longest=settings.max_body, reply=reply)


def _broker(text: str, settings: StreamSettings, reply: Reply) -> Source:
    from edgetransfer.data.streams import brokers

    address = brokers.BrokerAddress.read(text)
    name, longest = brokers.reader_name(settings.out), settings.max_body
    if address.kind == "kafka":
        return brokers.KafkaSource(
            address, group=name, longest=longest, once=settings.once, reply=reply
        )
    if address.kind in ("redis", "rediss"):
        return brokers.RedisSource(
            address, group=name, longest=longest, once=settings.once, reply=reply
        )
    if settings.once:
        raise UsageError("--once: nobody can tell when a topic of MQTT has ended; --limit may do")
    return brokers.MqttSource(address, client=name, longest=longest, reply=reply)


def _http(rest: str, settings: StreamSettings, board: Throughput) -> Source:
    from edgetransfer.stream.http.source import HttpSource

    host, _, port = rest.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--source http:[HOST:]PORT has a port from 0 to 65535, not {port!r}")
    return HttpSource(
        host=host or "127.0.0.1",
        port=int(port),
        board=board,
        token=settings.token,
        longest=settings.max_body,
        capacity=4 * settings.engine_batch,
        names=settings.host_names,
    )
