"""One data set in every form that photos are kept in: the same photos, or a clear refusal."""

from __future__ import annotations

import pickle
import sqlite3
import threading
import zipfile
from collections import Counter
from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from edgetransfer.data import load_data
from edgetransfer.data.stores.shelf import Shelf
from edgetransfer.errors import DataError, EdgeTransferError, UsageError
from edgetransfer.images import SUFFIXES
from tests.data.stores_made import (  # noqa: F401
    FORMS,
    arrow,
    folder,
    parquet,
    tarred,
    with_rows,
    zipped,
)

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def seen(data):
    splits = load_data(data, suffixes=SUFFIXES)
    return Counter(
        (name, splits.classes[sample.label], pickle.loads(pickle.dumps(sample)).read())
        for name in ("train", "val", "test")
        for sample in getattr(splits, name)
    )


@pytest.mark.parametrize("form", FORMS)
def test_the_same_photos_in_every_form(form, folder, tmp_path):  # noqa: F811
    assert seen(FORMS[form](folder, tmp_path)) == seen(folder)


def served(folder):  # noqa: F811
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    handler.func.log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda folder, _out: folder, zipped, parquet])  # noqa: F811
def test_over_http(make, folder, tmp_path):  # noqa: F811
    pytest.importorskip("fsspec")
    pytest.importorskip("aiohttp")
    made = make(folder, tmp_path)
    server = served(made.parent)
    try:
        assert seen(Path(f"http://127.0.0.1:{server.server_port}/{made.name}")) == seen(folder)
        gone = Path(f"http://127.0.0.1:{server.server_port}/no-such.parquet")
        with pytest.raises(DataError, match="nothing is there"):
            load_data(gone, suffixes=SUFFIXES)
    finally:
        server.shutdown()
        server.server_close()


# Bad input


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: 2 * len(content) // 3])
    return path


def torn_schema(_folder, out):
    with_rows(out, list, "a.parquet")
    with_rows(out, lambda rows: [{**r, "image": r["image"].decode()} for r in rows], "b.parquet")
    return out


def unfinished(_folder, out):
    with_rows(out, list)
    (out / "_temporary" / "0").mkdir(parents=True)
    (out / "_temporary" / "0" / "part.parquet").write_bytes(b"PAR1")
    return out


def twice(_folder, out):
    with zipfile.ZipFile(out / "a.zip", "w") as archive:
        archive.writestr("cat/1.jpg", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("cat/1.jpg", b"1")
    return out / "a.zip"


def twice_across(_folder, out):
    with_rows(out, list, "a.parquet")
    with_rows(out, lambda rows: [{**r, "id": f"m{i}"} for i, r in enumerate(rows)], "b.parquet")
    with_rows(out, lambda rows: rows[4:5], "c.parquet")
    return out


def changed(**values):
    return lambda _folder, out: with_rows(out, lambda rows: [rows[0] | values, *rows[1:]])


def without(name):
    return lambda _folder, out: with_rows(
        out, lambda rows: [{k: v for k, v in r.items() if k != name} for r in rows]
    )


def asking(text):
    def make(_folder, out):
        pytest.importorskip("sqlalchemy")
        with closing(sqlite3.connect(out / "photos.db")) as connection, connection:
            connection.execute("CREATE TABLE photos (path, label)")
        (out / "photos.sql").write_text(text)
        return out / "photos.sql"

    return make


def streamed_from(text):
    """What ``datasets:`` names, with tables in ``all``, and without their photos in ``photos``."""

    def make(_folder, out):
        pytest.importorskip("datasets")
        for name in ("all", "photos"):
            (out / name).mkdir()
        with_rows(out / "all", list, "train.parquet")
        with_rows(
            out / "photos",
            lambda rows: [{k: v for k, v in r.items() if k != "image"} for r in rows],
            "train.parquet",
        )
        return Path("datasets:" + text.format(out=out))

    return make


BAD = {
    "cut parquet": (lambda f, o: cut(parquet(f, o)), "photos.parquet: damaged"),
    "cut arrow": (lambda f, o: cut(arrow(f, o, stream=False)), "photos.arrow"),
    "cut zip": (lambda f, o: cut(zipped(f, o)), "photos.zip: no zip archive"),
    "cut tar": (lambda f, o: cut(tarred(f, o, ending=".tar.gz")), "no tar archive, or cut off"),
    "empty parquet": (lambda f, o: with_rows(o, lambda rows: []), "no column of photos"),
    "no photos": (without("image"), r"no column of photos .* there are id, label, split"),
    "no labels": (without("label"), "no column of labels"),
    "another schema midway": (torn_schema, r"b.parquet: its columns are .* those of a.parquet"),
    "half written": (unfinished, "_temporary is there"),
    "an id twice": (changed(id="n3"), r"photos.parquet#3: n3 is the id of photos.parquet#0 too"),
    "an id in two tables": (twice_across, "c.parquet#0: n4 is the id of a.parquet#4 too"),
    "no such split": (changed(split="practice"), "photos.parquet#0: split is train, val or test"),
    "a label missing": (changed(label=None), "photos.parquet#0: it has no label"),
    "a label of two lines": (changed(label="a\nb"), "photos.parquet#0: label 'a.*line break"),
    "numbers for photos": (
        lambda f, o: with_rows(o, lambda rows: [{**r, "image": 5} for r in rows]),
        "a photo is the bytes of a file",
    ),
    "a name twice": (twice, "it has cat/1.jpg twice"),
    "no address in a query": (asking("SELECT 1"), "its first line says where"),
    "no such variable": (asking("-- database: mysql://${NO_SUCH_PW}@h/d\nSELECT 1"), "is not set"),
    "no such database": (asking("-- database: sqlite:///no.db\nSELECT 1"), "no.db: no such data"),
    "no such table": (asking("-- database: sqlite:///photos.db\nSELECT * FROM x"), "no such table"),
    "no rows": (asking("-- database: sqlite:///photos.db\nSELECT * FROM photos"), "has no rows"),
    "no driver": (asking("-- database: oracle://h/d\nSELECT 1"), "is not installed"),
    "no such data set": (streamed_from("{out}/no"), "datasets:.*/no: no such folder"),
    "no photos in one": (
        streamed_from("{out}/photos"),
        "no column of photos .* are id, label, spl",
    ),
    "no such split of one": (streamed_from("{out}/all?split=third"), "third"),
    "no such question to one": (streamed_from("x?shard=3"), "'shard' is none of split"),
    "no such far folder": (lambda f, o: Path("memory://no/such/folder"), "memory://no/such"),
    "no such protocol": (lambda f, o: Path("nosuch://a/b"), "nosuch://a/b: cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_refused_by_name(case, folder, tmp_path):  # noqa: F811
    make, message = BAD[case]
    with pytest.raises(EdgeTransferError, match=f"(?s){message}") as refused:
        load_data(make(folder, tmp_path), suffixes=SUFFIXES)
    assert isinstance(refused.value, DataError | UsageError)
    assert not [f for f in psutil.Process().open_files() if f.path.endswith("photos.db")]


def test_a_photo_that_is_missing_is_a_sample_all_the_same(tmp_path):
    path = with_rows(tmp_path, lambda rows: [rows[0] | {"image": None}, *rows[1:]])
    splits = load_data(path, suffixes=SUFFIXES)
    assert [sample.read() for sample in splits.train] == [b"", *(b"x%d" % i for i in range(1, 6))]


def test_unlabelled_test_rows_are_left_out_and_counted(tmp_path):
    path = with_rows(tmp_path, lambda rows: [rows[0] | {"label": None, "split": "test"}, *rows[1:]])
    splits = load_data(path, suffixes=SUFFIXES)
    assert len(splits.train) == 5
    assert splits.left_out == (("test photos without a label", 1),)


def test_nothing_unpacked_is_left(tmp_path, monkeypatch):
    """What a killed process left goes with the next one; what another one uses stays."""
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(tmp_path))
    first = Shelf()
    piece = first.add(b"one")
    first.finish()
    (tmp_path / "unpacked" / "4-left.photos").write_bytes(b"left by a kill")
    second = Shelf()
    assert not (tmp_path / "unpacked" / "4-left.photos").exists()
    assert piece.read() == b"one"
    second.finish()
    assert len(list((tmp_path / "unpacked").iterdir())) == 2


@pytest.mark.slow
def test_a_row_group_of_a_gigabyte_takes_little_memory(tmp_path):
    """64 rows of 16 MB in one row group: read a few at a time."""
    import subprocess
    import sys

    path = tmp_path / "large.parquet"
    row = bytes(range(256)) * (1 << 16)
    schema = pa.schema([("image", pa.binary()), ("label", pa.string())])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        table = pa.table(
            {
                "image": pa.array([i.to_bytes(4) + row for i in range(64)], pa.binary()),
                "label": ["ab"[i % 2] for i in range(64)],
            }
        )
        writer.write_table(table, row_group_size=64)
    assert pq.ParquetFile(path).metadata.num_row_groups == 1
    program = (
        "import sys, resource; from pathlib import Path; "
        "from edgetransfer.data import load_data; from edgetransfer.images import SUFFIXES; "
        "import pyarrow.parquet; "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "n = len(load_data(Path(sys.argv[1]), suffixes=SUFFIXES).train); "
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    rows, grown = map(int, done.stdout.split())
    assert rows == 64
    assert grown < 400 * 1024  # KiB
