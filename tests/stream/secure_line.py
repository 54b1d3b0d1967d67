"""A broker's door over TLS, that asks for a password where one is given."""

from __future__ import annotations

import asyncio
import ssl
import struct
import threading
from asyncio import IncompleteReadError, StreamReader, StreamWriter

HANDSHAKE, AUTHENTICATE = 17, 36  # requests of Kafka's protocol
WRONG_MECHANISM, WRONG_PASSWORD = 33, 58


class SecureLine:
    """Takes TLS, and leads to a broker on the loopback address that knows nothing of it.

    Parameters
    ----------
    login
        Name and password that Kafka's SASL PLAIN must show; None for none.
    """

    def __init__(self, context: ssl.SSLContext, *, login: tuple[str, str] | None = None) -> None:
        self._context, self._login = context, login
        self._behind = self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    def leads_to(self, port: int) -> None:
        self._behind = port

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        open_ones: set[asyncio.Task[None]] = set()

        def lead(reader: StreamReader, writer: StreamWriter) -> None:
            open_ones.add(asyncio.create_task(self._lead(reader, writer)))

        server = await asyncio.start_server(lead, "127.0.0.1", 0, ssl=self._context)
        self.port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        await self._end.wait()
        server.close()
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)
        await asyncio.sleep(0.05)  # what was closed goes

    async def _lead(self, reader: StreamReader, writer: StreamWriter) -> None:
        writers = [writer]
        try:
            behind = await asyncio.open_connection("127.0.0.1", self._behind)
            writers.append(behind[1])
            if self._login is None or await self._let_in(reader, writer, behind):
                await asyncio.gather(_pump(reader, behind[1]), _pump(behind[0], writer))
        except (OSError, IncompleteReadError):
            pass  # one of both has gone
        finally:
            for one in writers:
                one.transport.abort()

    async def _let_in(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        behind: tuple[StreamReader, StreamWriter],
    ) -> bool:
        """Answer what concerns the password, and ask the broker what comes before it."""
        while True:
            frame = await _frame(reader)
            kind, _, number, name = struct.unpack_from(">hhih", frame)
            body = frame[10 + max(0, name) :]
            if kind == HANDSHAKE:
                (length,) = struct.unpack_from(">h", body)
                known = body[2 : 2 + length] == b"PLAIN"
                answer = struct.pack(">hih5s", 0 if known else WRONG_MECHANISM, 1, 5, b"PLAIN")
            elif kind == AUTHENTICATE:
                _, user, password = body[4:].split(b"\0")
                known = (user.decode(), password.decode()) == self._login
                answer = struct.pack(">hhiq", 0 if known else WRONG_PASSWORD, -1, 0, 0)
            else:
                _send(behind[1], frame)
                _send(writer, await _frame(behind[0]))
                continue
            _send(writer, struct.pack(">i", number) + answer)
            if kind == AUTHENTICATE:
                await writer.drain()
                return known


def _send(writer: StreamWriter, frame: bytes) -> None:
    writer.write(struct.pack(">i", len(frame)) + frame)


async def _frame(reader: StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    while content := await reader.read(1 << 16):
        writer.write(content)
        await writer.drain()
    writer.close()
