"""Photos in Parquet and Arrow files, by pyarrow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetransfer.data.found import Found
from edgetransfer.data.split_names import Split, read_name
from edgetransfer.data.stores.reaching import open_place, reaching, shown, store_of
from edgetransfer.data.stores.rows import Columns, RowReader
from edgetransfer.errors import DataError, UsageError
from edgetransfer.paths import address_of, without_query
from edgetransfer.untrusted_json import json_value

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc")
ENDINGS = (*PARQUET, *ARROW)
ROWS = 32  # that are decoded at a time: photos of megabytes each
READ_AHEAD = 1 << 20  # bytes of a column that are read at a time, however large its row group
UNFINISHED = ("_temporary", "_spark_metadata.tmp")


@dataclass(frozen=True, kw_only=True)
class _Batches:
    schema: Any
    batches: Iterator[Any]
    source: Any


def arrow_files(folder: Path, files: Sequence[str]) -> list[str]:
    """Those files of a folder that are tables, sorted, by their paths below it.

    Raises
    ------
    DataError
        If the tables are still being written.
    """
    found = sorted(file for file in files if file.lower().endswith(ENDINGS))
    for file in files:
        if found and any(part in UNFINISHED for part in file.split("/")[:-1]):
            raise DataError(
                f"{folder}: {file.split('/')[0]} is there, so its tables are not all written; wait "
                "until they are, or delete what a failed job left"
            )
    return found


def found_in_arrow(place: Path, files: Sequence[str] | None = None) -> Found:
    """The photos of a Parquet or Arrow file, or of several below a folder.

    Bytes are read once, in order, a few rows at a time, and put on a shelf.

    Raises
    ------
    UsageError
        If pyarrow is not installed.
    DataError
        If one is damaged, lacks a column, or has another schema than those before it.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        why = "" if error.name == "pyarrow" else f" ({error})"
        raise UsageError(
            f"{place}: it needs pyarrow{why}: pip install 'edgetransfer[parquet]' brings it"
        ) from error
    reader = RowReader(str(place), place if files is not None else place.parent)
    first: tuple[str, Columns, tuple[Any, ...]] | None = None
    for file in files if files is not None else ("",):
        whole = place / file if file else place
        name = file or place.name
        opened = _opened(whole)
        columns = Columns.among(opened.schema.names, _named(whole))
        kinds = tuple(opened.schema.field(column).type for column in columns.all)
        if first is None:
            first = (name, columns, kinds)
        elif (columns, kinds) != first[1:]:
            raise DataError(
                f"{_named(whole)}: its columns are {_listed(columns, kinds)}, those of {first[0]} "
                f"are {_listed(*first[1:])}; write all tables alike"
            )
        names = _class_names(opened.schema, columns.label)
        split = _split_of(file) if file else None
        number = 0
        for batch in _read(whole, opened.batches):
            for row in batch.select(columns.all).to_pylist():
                reader.add(row, columns, f"{name}#{number}", names=names, split=split)
                number += 1
        opened.source.close()
    return reader.found()


def _opened(place: Path) -> _Batches:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        source = _source(place)
        if str(without_query(place)).lower().endswith(PARQUET):
            file = pq.ParquetFile(source, buffer_size=READ_AHEAD, pre_buffer=False)
            columns = Columns.among(file.schema_arrow.names, _named(place)).all
            return _Batches(
                schema=file.schema_arrow,
                batches=file.iter_batches(ROWS, columns=columns, use_threads=False),
                source=source,
            )
        try:
            reader = pa.ipc.open_file(source)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        except pa.ArrowInvalid:
            source.seek(0)
            reader = batches = pa.ipc.open_stream(source)
        return _Batches(schema=reader.schema, batches=_sliced(batches), source=source)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(place, error) from error


def _source(place: Path) -> Any:
    import pyarrow as pa

    address = address_of(place)
    if address is not None:
        return pa.PythonFile(open_place(place), "r")
    mapped = str(place).lower().endswith(ARROW)
    return pa.memory_map(str(place)) if mapped else pa.OSFile(str(place))


def _sliced(batches: Any) -> Iterator[Any]:
    for batch in batches:
        for first in range(0, batch.num_rows, ROWS):
            yield batch.slice(first, ROWS)


def _read(place: Path, batches: Iterator[Any]) -> Iterator[Any]:
    import pyarrow as pa

    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(place, error) from error
        if batch is None:
            return
        yield batch


def _damaged(place: Path, error: Exception) -> DataError:
    text = str(error).splitlines()[0][:200]
    return DataError(f"{_named(place)}: damaged, or only partly written: {text}")


def _named(place: Path) -> str:
    return shown(address_of(place) or str(place))


def _class_names(schema: Any, column: str) -> list[str] | None:
    """The names of classes that are kept as numbers, as Hugging Face's datasets note them."""
    try:
        noted = json_value((schema.metadata or {}).get(b"huggingface", b"null"))
        feature = noted["info"]["features"][column]
        return list(map(str, feature["names"])) if feature["_type"] == "ClassLabel" else None
    except (ValueError, KeyError, TypeError):
        return None


def _split_of(file: str) -> Split | None:
    """What a name says: ``train-00000-of-00002.parquet``, ``split=test/part-0.parquet``."""
    *above, name = file.split("/")
    for part in (re.split(r"[-._]\d|\.", name)[0], *reversed(above)):
        named = read_name(part)
        if named is not None and not named.rest:
            return "test" if named.kind == "eval" else named.kind  # type: ignore[return-value]
    return None


def _listed(columns: Columns, kinds: tuple[Any, ...]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in zip(columns.all, kinds, strict=True))


def far_files(address: str) -> list[str]:
    """The paths of the files below an address."""
    with reaching(address):
        store, root = store_of(address)
        paths = [str(path) for path in store.find(root)]
        return sorted(path.removeprefix(str(root).rstrip("/")).lstrip("/") for path in paths)
