"""The same photos in every form that a store of photos may have."""

from __future__ import annotations

import json
import sqlite3
import tarfile
import zipfile
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.photos import write_photos

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SPLITS = {"train": 4, "test": 2}


def rows_of(folder):
    return [
        {
            "id": str(path.relative_to(folder)),
            "image": path.read_bytes(),
            "path": str(path),
            "label": path.parent.name,
            "split": path.parent.parent.name,
        }
        for path in sorted(folder.rglob("*.png"))
    ]


def zipped(folder, out, *, above=""):
    with zipfile.ZipFile(out / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*.png"):
            archive.write(path, above + str(path.relative_to(folder)))
        archive.writestr("__MACOSX/train/._a.png", b"no photo")
    return out / "photos.zip"


def tarred(folder, out, *, ending=".tar"):
    with tarfile.open(out / f"photos{ending}", f"w:{ending[5:]}") as archive:
        archive.add(folder, "photos")
    return out / f"photos{ending}"


def parquet(folder, out, **columns):
    rows = rows_of(folder)
    names = {"image": "image", "label": "label", "split": "split", **columns}
    table = pa.table({to: [row[of] for row in rows] for of, to in names.items()})
    pq.write_table(table, out / "photos.parquet", row_group_size=5)
    return out / "photos.parquet"


def structures(folder, out):
    """As Hugging Face's hub has them: classes by number, a file a split."""
    names = sorted({row["label"] for row in rows_of(folder)})
    noted = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    (out / "data").mkdir()
    for split in SPLITS:
        rows = [row for row in rows_of(folder) if row["split"] == split]
        table = pa.table(
            {
                "image": [{"bytes": row["image"], "path": "image.png"} for row in rows],
                "label": [names.index(row["label"]) for row in rows],
            }
        ).replace_schema_metadata({"huggingface": json.dumps(noted)})
        pq.write_table(table, out / "data" / f"{split}-00000-of-00001.parquet")
    return out


def arrow(folder, out, *, stream):
    table = pq.read_table(parquet(folder, out))
    kind = pa.ipc.new_stream if stream else pa.ipc.new_file
    with kind(str(out / "photos.arrow"), table.schema) as writer:
        writer.write_table(table)
    return out / "photos.arrow"


def saved(folder, out):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=sorted({r["label"] for r in rows_of(folder)})),
        }
    )
    parts = {}
    for split in SPLITS:
        rows = [r for r in rows_of(folder) if r["split"] == split]
        parts[split] = datasets.Dataset.from_dict(
            {
                "image": [{"bytes": r["image"], "path": None} for r in rows],
                "label": [r["label"] for r in rows],
            },
            features=features,
        )
    datasets.DatasetDict(parts).save_to_disk(str(out / "saved"))
    return out / "saved"


def streamed(folder, out):
    """Parquet files as the hub has them, which datasets streams."""
    pytest.importorskip("datasets")
    return Path(f"datasets:{structures(folder, out)}")


def streamed_folder(folder, _out):
    """Class folders, of which datasets makes a data set by itself."""
    pytest.importorskip("datasets")
    return Path(f"datasets:{folder}")


def database(folder, out, *, column="image"):
    pytest.importorskip("sqlalchemy")
    with closing(sqlite3.connect(out / "photos.db")) as connection, connection:
        connection.execute("CREATE TABLE photos (id, image, path, label, split)")
        connection.executemany(
            "INSERT INTO photos VALUES (:id, :image, :path, :label, :split)", rows_of(folder)
        )
    (out / "photos.sql").write_text(
        "-- database: sqlite:///photos.db\n"
        f"SELECT id, {column}, label AS class, split FROM photos ORDER BY id\n"
    )
    return out / "photos.sql"


def in_memory(make, folder, out):
    """What ``make`` makes, put into a store that fsspec reaches."""
    fsspec = pytest.importorskip("fsspec")
    made = make(folder, out)
    store = fsspec.filesystem("memory")
    store.put(str(made), f"/{out.name}/{made.name}", recursive=True)
    return Path(f"memory://{out.name}/{made.name}")


def addresses(folder, out):
    far = in_memory(lambda folder, _out: folder, folder, out)
    lines = [
        {
            "path": f"memory://{out.name}/{far.name}/{row['id']}",
            "label": row["label"],
            "split": row["split"],
        }
        for row in rows_of(folder)
    ]
    (out / "photos.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return out / "photos.jsonl"


FORMS = {
    "zip": zipped,
    "zip with a folder around all": partial(zipped, above="my photos/"),
    "tar": tarred,
    "tar.gz": partial(tarred, ending=".tar.gz"),
    "parquet": parquet,
    "parquet of paths": partial(parquet, image="nothing", path="path"),
    "parquet under other names": partial(parquet, image="JPG", label="class", id="__key__"),
    "parquet of structures": structures,
    "arrow file": partial(arrow, stream=False),
    "arrow stream": partial(arrow, stream=True),
    "saved by datasets": saved,
    "streamed by datasets": streamed,
    "folders streamed by datasets": streamed_folder,
    "query of bytes": database,
    "query of paths": partial(database, column="path"),
    "folders far away": partial(in_memory, lambda folder, _out: folder),
    "zip far away": partial(in_memory, zipped),
    "tar far away": partial(in_memory, tarred),
    "parquet far away": partial(in_memory, parquet),
    "tables far away": partial(in_memory, structures),
    "manifest of addresses": addresses,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "photos"
    for seed, (split, n) in enumerate(SPLITS.items()):
        write_photos(root / split, n, seed)
    return root


def with_rows(out, change, name="photos.parquet", schema=None):
    rows = [
        {"id": f"n{i}", "image": b"x%d" % i, "label": "ab"[i % 2], "split": "train"}
        for i in range(6)
    ]
    rows = change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema), out / name)
    return out / name
