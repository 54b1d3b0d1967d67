"""Photos that a database names or holds: a ``.sql`` file, asked through SQLAlchemy.

Its first line says where, in a comment, and what follows it is one query::

    -- database: sqlite:///photos.db
    SELECT file AS path, species AS label FROM sightings WHERE checked

``${NAME}`` in the first line is the environment's, so that no password need stand there.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgetransfer.confidential import filled
from edgetransfer.data.found import Found
from edgetransfer.data.stores.reaching import reason
from edgetransfer.data.stores.rows import Columns, RowReader
from edgetransfer.errors import DataError, EdgeTransferError, UsageError

ENDING = ".sql"
ROWS = 256  # that are fetched at a time
_FIRST_LINE = re.compile(r"\s*--\s*database:\s*(\S+)\s*\n")


def found_by_query(file: Path) -> Found:
    """The photos that a query finds; bytes are read once, and put on a shelf.

    Raises
    ------
    UsageError
        If SQLAlchemy, or the database's own driver, is not installed.
    DataError
        If the file is no such thing, the database cannot be asked, or a row is no labelled photo.
    """
    address, query = _read(file)
    try:
        import sqlalchemy
    except ImportError as error:
        raise UsageError(
            f"{file}: it needs SQLAlchemy: pip install 'edgetransfer[sql]' brings it"
        ) from error
    reader = RowReader(str(file), file.parent)
    try:
        with ExitStack() as opened:
            engine = sqlalchemy.create_engine(_from_here(address, file.parent, sqlalchemy))
            opened.callback(engine.dispose)
            connection = opened.enter_context(
                engine.connect().execution_options(stream_results=True)
            )
            result = connection.execute(sqlalchemy.text(query))
            columns = Columns.among(list(result.keys()), str(file))
            for number, row in enumerate(result.yield_per(ROWS).mappings()):
                reader.add(row, columns, f"{file.stem}#{number}")
    except EdgeTransferError:
        raise
    except ImportError as error:
        raise UsageError(
            f"{file}: the driver {error.name} of this database is not installed; pip install it"
        ) from error
    except Exception as error:  # each driver has errors of its own
        raise DataError(
            f"{file}: the database cannot be asked: {reason(error)}; check the address in its "
            "first line, the credentials and the query"
        ) from error
    return reader.found()


def _read(file: Path) -> tuple[str, str]:
    """Where to ask, and what."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    first = _FIRST_LINE.match(text)
    if first is None:
        raise DataError(
            f"{file}: its first line says where the query is asked, such as "
            "'-- database: sqlite:///photos.db'"
        )

    try:
        return filled(first[1]), text[first.end() :]
    except LookupError as error:
        raise DataError(
            f"{file}: its first line names ${{{error.args[0]}}}, which is not set"
        ) from None


def _from_here(address: str, folder: Path, sqlalchemy: Any) -> Any:
    """The address; the file of an SQLite database is seen from the query's folder."""
    url = sqlalchemy.make_url(address)
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        path = folder / url.database
        if not path.is_file():  # it would be made
            raise DataError(f"{path}: no such database")
        url = url.set(database=str(path))
    return url
