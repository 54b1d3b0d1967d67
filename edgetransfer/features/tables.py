"""Feature rows on disk: Parquet files that say what made them.

A row is a photo: ``id``, ``label``, ``split``, ``feature``, and ``problem`` where there is no
feature. Each file stands by itself: what made it (`Origin`) is in the metadata of its schema.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import DataError, EdgeTransferError, UsageError
from edgetransfer.images import DECODING_VERSION
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, IntArray, Preprocessing
from edgetransfer.untrusted_json import json_value

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "edgetransfer-feature-table-1"
KEY = b"edgetransfer"
ROWS_PER_GROUP = 1024
LARGEST_GROUP = 1 << 28  # bytes that are read at a time
COLUMNS = ("id", "label", "split", "problem")
ENDING = ".parquet"


def check_arrow() -> None:
    """Tables need pyarrow.

    Raises
    ------
    UsageError
        If it is not installed, or does not go with what else is.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        why = "" if error.name == "pyarrow" else f" ({error})"
        raise UsageError(
            f"tables need pyarrow{why}: pip install 'edgetransfer[parquet]' brings it"
        ) from error


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What the features of a table were made by.

    Parameters
    ----------
    backbone
        What it was called there: a file, or the name of a bundled backbone.
    identity
        Of the backbone, as `Backbone.identity`.
    preprocessing
        What it was shown.
    tensor
        Where its graph was cut.
    engine, engine_version
        What ran it.
    dimension
        The length D of a row.
    dtype
        ``float32`` or ``float16``: how rows are kept.
    decoding
        The version of decoding.
    """

    backbone: str
    identity: str
    preprocessing: Preprocessing
    tensor: str
    engine: str
    engine_version: str
    dimension: int
    dtype: str
    decoding: int | str = DECODING_VERSION

    __repr__ = short_repr

    def text(self) -> str:
        """As JSON; the same for the same origin."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)

    @classmethod
    def of_text(cls, text: str) -> Origin:
        """What `text` returned; a `ValueError` if it is none."""
        values = json_value(text)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError("not of this version")
        try:
            seen = values.pop("preprocessing")
            seen = {k: tuple(v) if isinstance(v, list) else v for k, v in seen.items()}
            return cls(preprocessing=Preprocessing(**seen), **values)
        except (TypeError, KeyError, AttributeError, EdgeTransferError) as error:
            raise ValueError(str(error)) from error

    def difference(self, other: Origin) -> str | None:
        """What makes the features of the two others; None if nothing does."""
        ours, theirs = asdict(self), asdict(other)
        for name in ours:
            if name != "backbone" and ours[name] != theirs[name]:
                what = {"identity": "backbone"}.get(name, name.replace("_", " "))
                return f"the {what} is another: {_short(ours[name])}, and {_short(theirs[name])}"
        return None


@dataclass(frozen=True, kw_only=True)
class TableRows:
    """Rows of a table.

    Parameters
    ----------
    ids, labels, splits
        (n,) texts; a label is empty where it is not known.
    features
        (n, D) float32; nan where there is a problem.
    problems
        Why a row has no features, by its place.
    """

    ids: list[str]
    labels: list[str]
    splits: list[str]
    features: Float32Array
    problems: dict[int, str]

    __repr__ = short_repr

    def labelled(self, split: str) -> list[int]:
        """The places of the rows of a split that have a label and no problem."""
        return [
            place
            for place, (label, own) in enumerate(zip(self.labels, self.splits, strict=True))
            if label and own == split and place not in self.problems
        ]

    def only(self, places: IntArray) -> TableRows:
        """The rows in these places."""
        kept = places.tolist()
        return TableRows(
            ids=[self.ids[place] for place in kept],
            labels=[self.labels[place] for place in kept],
            splits=[self.splits[place] for place in kept],
            features=self.features[places],
            problems={
                new: self.problems[old] for new, old in enumerate(kept) if old in self.problems
            },
        )


def write_table(path: Path, rows: TableRows, origin: Origin) -> None:
    """Write a table, whole or not at all; equal rows make equal bytes.

    Raises
    ------
    EdgeTransferError
        If it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = len(rows.ids)
    there = np.array([place not in rows.problems for place in range(n)], bool)
    kept = rows.features[there].astype(origin.dtype)
    # Lists of one length that may be null are not read back by every version of Arrow.
    ends = np.concatenate([[0], np.cumsum(there)]) * origin.dimension
    columns = {
        "id": pa.array(rows.ids, pa.string()),
        "label": pa.array([label or None for label in rows.labels], pa.string()),
        "split": pa.array(rows.splits, pa.string()),
        "feature": pa.ListArray.from_arrays(
            pa.array(ends, pa.int32()), pa.array(kept.ravel()), mask=pa.array(~there)
        ),
        "problem": pa.array([rows.problems.get(i) for i in range(n)], pa.string()),
    }
    table = pa.table(columns).replace_schema_metadata({KEY: origin.text().encode()})
    content = io.BytesIO()
    pq.write_table(
        table,
        content,
        row_group_size=ROWS_PER_GROUP,
        compression="none",  # features do not compress, and the rest is small
        use_dictionary=["label", "split", "problem"],
        write_statistics=["id"],
    )
    try:
        write_atomically(path, content.getbuffer())
    except OSError as error:
        raise EdgeTransferError(f"{path}: cannot be written: {error.strerror or error}") from error


class TableFile:
    """One table of features, read a group of rows at a time.

    Parameters
    ----------
    path
        What `write_table` wrote.

    Raises
    ------
    DataError
        If it is not whole, or none.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        try:
            self._file = pq.ParquetFile(path)
            self.origin = Origin.of_text(
                (self._file.schema_arrow.metadata or {}).get(KEY, b"").decode()
            )
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path}: not a whole Parquet file: {error}") from error
        except ValueError as error:
            raise DataError(
                f"{path}: not a table of features that this version reads: {error}"
            ) from error
        self._check_schema()
        self._check_groups()

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def groups(self) -> int:
        """How many groups of rows it has."""
        return int(self._file.metadata.num_row_groups)

    def columns(self, *names: str) -> dict[str, list[Any]]:
        """Some of `COLUMNS`, whole."""
        table = self._read(lambda: self._file.read(columns=list(names)))
        return {name: table.column(name).to_pylist() for name in names}

    def rows(self) -> Iterator[TableRows]:
        """All rows, a group at a time."""
        yield from map(self.group, range(self.groups))

    def group_size(self, number: int) -> int:
        """How many rows a group has."""
        return int(self._file.metadata.row_group(number).num_rows)

    def first_rows(self) -> Iterator[tuple[int, int]]:
        """The place of each group's first row, and the group's number."""
        first = 0
        for number in range(self.groups):
            yield first, number
            first += self.group_size(number)

    def group(self, number: int) -> TableRows:
        """One group of rows."""
        table = self._read(lambda: self._file.read_row_group(number))
        ids, labels, splits, problems = (table.column(name).to_pylist() for name in COLUMNS)
        column = table.column("feature").combine_chunks()
        features = np.full((len(ids), self.origin.dimension), np.nan, np.float32)
        there = np.asarray(column.is_valid())
        values = np.asarray(column.drop_null().flatten())
        if len(values) != there.sum() * self.origin.dimension:
            raise DataError(
                f"{self.path}: damaged: its features are not {self.origin.dimension} numbers each"
            )
        features[there] = values.reshape(-1, self.origin.dimension)
        return TableRows(
            ids=ids,
            labels=[label or "" for label in labels],
            splits=splits,
            features=features,
            problems={i: text for i, text in enumerate(problems) if text is not None},
        )

    def _read(self, read: Any) -> pa.Table:
        import pyarrow as pa

        try:
            return read()
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path}: damaged: {error}") from error

    def _check_groups(self) -> None:
        for number in range(self.groups):
            size = int(self._file.metadata.row_group(number).total_byte_size)
            if size > LARGEST_GROUP:
                raise DataError(
                    f"{self.path}: its row group {number} has {size / 2**20:,.0f} MiB, more than "
                    f"{LARGEST_GROUP >> 20} are read at a time; write it with smaller row groups "
                    f"(row_group_size={ROWS_PER_GROUP}), or extract it anew"
                )

    def _check_schema(self) -> None:
        import pyarrow as pa

        schema = self._file.schema_arrow
        kept = pa.list_(pa.from_numpy_dtype(np.dtype(self.origin.dtype)))
        wanted = {**dict.fromkeys(COLUMNS, pa.string()), "feature": kept}
        for name, kind in wanted.items():
            place = schema.get_field_index(name)
            if place < 0:
                raise DataError(f"{self.path}: it has no column {name!r}; extract it anew")
            if schema.field(place).type != kind:
                raise DataError(
                    f"{self.path}: its column {name!r} is of {schema.field(place).type}, not "
                    f"{kind}; extract it anew"
                )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
