"""A server of predictions in this process, on a FakeEngine that tells colours apart."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edgetransfer.engines import FakeEngine
from edgetransfer.features import FeatureExtractor
from edgetransfer.heads import LinearHead
from edgetransfer.serve.predictor import Predictor
from edgetransfer.serve.routes import PredictionRoutes, Renewed
from edgetransfer.train import Classifier
from edgetransfer.types import Preprocessing
from edgetransfer.web import WebServer
from edgetransfer.web.pages import page_routes

SIDE = 16
LONGEST = 200_000


def colour_head(names: tuple[str, ...] = ("red", "green", "blue")) -> LinearHead:
    """Each class is one of the three channels, averaged over the picture."""
    engine = FakeEngine(batch_size=1, size=SIDE)
    weights = np.zeros((engine.dimension, len(names)), np.float32)
    cells = engine.dimension // 3
    for channel in range(min(3, len(names))):
        weights[channel * cells : (channel + 1) * cells, channel] = 0.1
    return LinearHead(weights=weights, bias=np.zeros(len(names), np.float32), classes=names)


def colour_classifier(
    head: LinearHead | None = None, *, batch: int = 4, unknown_below: float | None = None
) -> Classifier:
    engine = FakeEngine(batch_size=batch, size=SIDE)
    extractor = FeatureExtractor(engine, Preprocessing(size=SIDE, resize=SIDE), workers=2)
    return Classifier(head or colour_head(), extractor, None, {}, unknown_below=unknown_below)


class Server:
    """A `WebServer` over a `Predictor`."""

    def __init__(self, **others: Any) -> None:
        gathering = {"gather_seconds": 0.002, "capacity": 64, **others.pop("gathering", {})}
        self.predictor = Predictor(
            others.pop("classifier", None) or colour_classifier(), **gathering
        )
        self.routes = PredictionRoutes(self.predictor, lambda: Renewed(times=0, problem=None))
        self.server = WebServer(
            "127.0.0.1",
            0,
            routes={**self.routes.table(), **page_routes("edgetransfer.serve")},
            token=others.pop("token", None),
            longest=LONGEST,
        )
        self.port = self.server.port
        self.server.start()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "image/png",
        **headers: str,
    ) -> tuple[int, Any, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        if body is not None:
            headers = {"Content-Type": kind, **headers}
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(text) if is_json and text else text, dict(answer.headers)

    def close(self) -> None:
        self.server.stop(seconds=5)
        self.predictor.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()
