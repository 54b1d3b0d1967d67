"""Samples from MQTT: cameras that publish photos."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from queue import Empty, Full, Queue
from threading import Event
from typing import Any

from edgetransfer.data.streams.arrivals import Arrival, Ledger, Reply, no_reply
from edgetransfer.data.streams.brokers.address import BrokerAddress
from edgetransfer.data.streams.brokers.messages import arrival_of
from edgetransfer.errors import DataError, UsageError

logger = logging.getLogger(__name__)

TICK = 0.25
FIRST_SECONDS = 10.0  # to be taken in by the broker
WAITING = 256


class MqttSource:
    """Messages of a topic, subscribed to with at-least-once delivery (QoS 1) and a lasting session.

    A message is a photo, or a JSON object with ``base64``, ``label`` and ``id``. It is acknowledged
    (PUBACK) when the journal has it; what was not comes again after a restart, under the same id:
    the one it says, or else the sha256 of the message. So the same message sent twice is one
    sample.

    Parameters
    ----------
    address
        Its topic is a filter, such as ``cameras/+/photo``; ``client`` may be given as an option.
    client
        Whose session it is, where the address names none.
    longest
        Bytes of one message.
    reply
        Told what became of each.

    Raises
    ------
    UsageError
        If paho-mqtt is not installed.
    DataError
        If the broker cannot be reached, or refuses.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        client: str,
        longest: int,
        reply: Reply = no_reply,
    ) -> None:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise UsageError(
                f"{address}: it needs paho-mqtt: pip install 'edgetransfer[mqtt]' brings it"
            ) from error
        self._address = address
        self._longest = longest
        self._reply = reply
        self._queue: Queue[tuple[int, Any]] = Queue(WAITING)
        self._connection = 0  # how manieth: a number of an earlier one may mean another message
        self._ended = Event()
        self._taken_in = Event()
        self._refused: str | None = None
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=address.options.get("client", client),
            clean_session=False,
            manual_ack=True,
        )
        if address.user is not None:
            self._client.username_pw_set(address.user, address.password)
        if address.secure:
            self._client.tls_set()
        self._client.reconnect_delay_set(1, 8)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._came
        try:
            self._client.connect(address.host, address.port)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{address}: cannot be reached: {error}; check the address and that the broker runs"
            ) from error

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        del ledger
        self._client.loop_start()
        try:
            if not self._taken_in.wait(FIRST_SECONDS):
                self._refused = self._refused or "no answer"
            while not stop.is_set():
                if self._refused is not None:
                    raise DataError(
                        f"{self._address}: the broker refused: {self._refused}; check user, "
                        "password and topic"
                    )
                try:
                    connection, message = self._queue.get(timeout=TICK)
                except Empty:
                    continue
                yield self._arrival(connection, message)
        finally:
            self._ended.set()
            # What is in hand is acknowledged until the process ends; the rest comes again.
            if not stop.is_set():
                self._client.disconnect()

    def _arrival(self, connection: int, message: Any) -> Arrival:
        payload = bytes(message.payload)

        def done(outcome: Mapping[str, Any]) -> None:
            self._reply(outcome)
            if connection == self._connection:
                self._client.ack(message.mid, message.qos)

        name = f"{message.topic[:200]}/{hashlib.sha256(payload).hexdigest()}"
        return arrival_of(payload, name, done, longest=self._longest)

    # Called by the client's thread

    def _connected(self, client: Any, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if code.is_failure:
            self._refused = str(code)
            self._taken_in.set()
            return
        if self._connection:
            logger.warning("%s: is back", self._address)
        self._connection += 1
        client.subscribe(self._address.topic, qos=1)

    def _subscribed(self, _c: Any, _data: Any, _mid: Any, codes: Any, _props: Any) -> None:
        if any(code.is_failure for code in codes):
            self._refused = str(codes[0])
        self._taken_in.set()

    def _disconnected(self, _c: Any, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if code.is_failure and not self._ended.is_set():
            logger.warning("%s: cannot be reached, and is waited for: %s", self._address, code)

    def _came(self, _client: Any, _data: Any, message: Any) -> None:
        while not self._ended.is_set():
            try:
                self._queue.put((self._connection, message), timeout=TICK)
            except Full:
                continue
            return
