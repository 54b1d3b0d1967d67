"""A run that is taught in this process, on a FakeEngine that tells colours apart."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from edgetransfer.settings.learning import LearningSettings
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.stream import OnlineLearner
from edgetransfer.teach.classroom import Classroom
from edgetransfer.teach.routes import TeachRoutes
from edgetransfer.web import WebServer
from edgetransfer.web.pages import page_routes
from tests.serve.test_predict import form
from tests.stream.stream_pictures import fake_feature_source

LONGEST = 200_000


class Taught:
    """A classroom and its server."""

    def __init__(self, run: Path, **learning: Any) -> None:
        self.run = run
        settings = StreamSettings(
            backbone="fake",
            source="http:page",
            out=run,
            learning=LearningSettings(**{"learner": "statistics", **learning}),
            engine_batch=4,
            workers=2,
        )
        self.learner = OnlineLearner(settings, feature_source=fake_feature_source())
        try:
            self.room = Classroom(self.learner)
        except BaseException:
            self.learner.close()
            raise
        self.lesson = self.room.lesson
        self.routes = TeachRoutes(self.room).table()
        pages = page_routes("edgetransfer.teach")
        self.server = WebServer(
            "127.0.0.1", 0, routes={**self.routes, **pages}, token=None, longest=LONGEST
        )
        self.server.start()

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "image/png"
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        headers = {} if body is None else {"Content-Type": kind}
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        is_json = answer.headers.get_content_type() == "application/json" and text
        return answer.status, json.loads(text) if is_json else text

    def post(self, path: str, value: Any) -> tuple[int, Any]:
        return self.ask("POST", path, json.dumps(value).encode(), "application/json")

    def give(self, *photos: bytes, label: str | None = None) -> list[dict[str, Any]]:
        body, kind = form(*[(f"{i}.png", data) for i, data in enumerate(photos)])
        query = "" if label is None else f"?label={label}"
        status, answer = self.ask("POST", f"/photos{query}", body, kind)
        assert status == 200, answer
        found: list[dict[str, Any]] = answer["photos"]
        return found

    @property
    def labels(self) -> Counter[tuple[str, str | None]]:
        """What is known of each photo, whichever id it goes by now."""
        return Counter((p.id.partition("~")[0], p.label) for p in self.room.album.photos)

    def reviewed(self) -> Any:
        """The review of how things stand now."""
        end = monotonic() + 30
        while self.room.reviewer.newest.version < self.room.album.version:
            assert monotonic() < end, "no review came"
            sleep(0.02)
        return self.room.reviewer.newest

    def close(self) -> None:
        self.server.stop(seconds=5)
        self.room.close()
        self.learner.close()
