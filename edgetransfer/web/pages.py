"""Pages: files of the package, each a route of its own.

They are read once and are all that is ever served: no request is turned into a file's name. The
content security policy lets a page load what is of this server alone, and run nothing that stands
in the HTML or arrives later.
"""

from __future__ import annotations

from importlib.resources import files

from edgetransfer.web.messages import Answer, Request, Route, Routes

_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def page_routes(package: str) -> Routes:
    """``page/`` of a package, and what all pages share; its ``index.html`` stands at ``/``.

    A page holds nothing of anybody's, so that it is open; what it asks for is not.
    """
    routes = {}
    for owner in ("edgetransfer.web", package):
        for file in (files(owner) / "page").iterdir():
            ending = file.name.rpartition(".")[2]
            if ending in _KINDS:
                path = "/" if file.name == "index.html" else f"/{file.name}"
                routes["GET", path] = _route(file.read_bytes(), _KINDS[ending])
    return routes


def _route(body: bytes, kind: str) -> Route:
    page = Answer(body=body, kind=kind, headers=HEADERS)

    def answer(_request: Request) -> Answer:
        return page

    return Route(answer=answer, open=True)
