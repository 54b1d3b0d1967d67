"""An HTTP server for one machine: what every endpoint of this program checks, in one place.

Whom a request is meant for and which page it comes from, a token beyond loopback, how long each
part of it may take, how many bytes all requests together may hold, how many connections there may
be. What is asked and answered is a table of routes. No request names a file.
"""

from edgetransfer.web.address import AddressSettings
from edgetransfer.web.hosts import is_loopback
from edgetransfer.web.messages import Answer, Refusal, Request, Route, Routes, json_answer
from edgetransfer.web.server import WebServer

__all__ = [
    "AddressSettings",
    "Answer",
    "Refusal",
    "Request",
    "Route",
    "Routes",
    "WebServer",
    "is_loopback",
    "json_answer",
]
