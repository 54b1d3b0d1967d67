"""Samples from MQTT: cameras that publish photos."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Iterator, Mapping
from threading import Condition, Event
from time import monotonic
from typing import Any, Literal

from edgetransfer.data.streams.arrivals import Arrival, Ledger, Reply, no_reply
from edgetransfer.data.streams.brokers.acknowledging import InHand
from edgetransfer.data.streams.brokers.address import BrokerAddress, mend_of
from edgetransfer.data.streams.brokers.messages import arrival_of
from edgetransfer.errors import DataError, UsageError

logger = logging.getLogger(__name__)

TICK = 0.25
FIRST_SECONDS = 10.0  # to be taken in by the broker
WAITING = 768  # messages that the broker may hand out before the first is acknowledged
WAITING_BYTES = 64 * 2**20
FOR_EVER = 0xFFFFFFFF  # seconds that a session lasts
UNSUPPORTED = "Unsupported protocol version"

Answer = Literal["taken in", "too new", "refused"]


class MqttSource:
    """Messages of a topic, subscribed to with at-least-once delivery (QoS 1) and a lasting session.

    MQTT 5 is spoken, by which a client says how many messages it takes at a time: what brokers hand
    out by themselves (Mosquitto 20) does not fill the engine's batches. Brokers that do not know it
    are spoken to by 3.1.1.

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
            import paho.mqtt.client  # noqa: F401
        except ImportError as error:
            raise UsageError(
                f"{address}: it needs paho-mqtt: pip install 'edgetransfer[mqtt]' brings it"
            ) from error
        self._address = address
        self._name = address.options.get("client", client)
        self._longest = longest
        self._in_hand: InHand[tuple[int, int, int]] = InHand(reply)
        self._waiting: deque[tuple[int, Any]] = deque()
        self._bytes = 0
        self._changed = Condition()  # of these two
        self._connection = 0  # how manieth: a number of an earlier one may mean another message
        self._ended = Event()
        self._answered = Event()
        self._said: Answer | None = None
        self._refused: str | None = None
        self._too_new = False  # MQTT 5, for this broker
        self._hung_up = ""
        self._client = self._opened()

    def _opened(self) -> Any:
        """A client that is about to be connected, of MQTT 5 unless that is too new.

        Raises
        ------
        DataError
            If the broker cannot be reached.
        """
        from paho.mqtt.client import Client, MQTTv5, MQTTv311
        from paho.mqtt.enums import CallbackAPIVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        address = self._address
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._name,
            clean_session=False if self._too_new else None,
            protocol=MQTTv311 if self._too_new else MQTTv5,
            manual_ack=True,
        )
        if address.user is not None:
            client.username_pw_set(address.user, address.password)
        if address.secure:
            client.tls_set()
        client.reconnect_delay_set(1, 8)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._came
        lasting: dict[str, Any] = {}
        if not self._too_new:
            properties = Properties(PacketTypes.CONNECT)
            properties.ReceiveMaximum = WAITING
            properties.SessionExpiryInterval = FOR_EVER
            lasting = {"clean_start": False, "properties": properties}
        try:
            client.connect(address.host, address.port, **lasting)
        except (OSError, ValueError) as error:
            mend = mend_of(str(error), "check the address and that the broker runs")
            raise DataError(f"{address}: cannot be reached: {error}; {mend}") from error
        return client

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        del ledger
        try:
            self._begin(stop)
            while not stop.is_set():
                taken = self._take()
                if taken is not None:
                    yield self._arrival(*taken)
                elif self._refused is not None:
                    raise DataError(
                        f"{self._address}: the broker refused: {self._refused}; check user, "
                        "password and topic"
                    )
        finally:
            self._ended.set()
            self._in_hand.finish(self._acknowledge)  # what is not acknowledged comes again
            self._client.disconnect()

    def _begin(self, stop: Event) -> None:
        """Wait until the broker has taken the subscription, or has said no."""
        if self._answer(stop) == "too new":
            self._client.loop_stop()
            logger.info("%s: it does not speak MQTT 5", self._address)
            self._too_new = True
            self._client = self._opened()
            self._answer(stop)

    def _answer(self, stop: Event) -> Answer | None:
        self._answered.clear()
        self._client.loop_start()
        until = monotonic() + FIRST_SECONDS
        while not self._answered.wait(TICK):
            if stop.is_set():
                return None
            if monotonic() > until:
                self._refused = f"no answer {self._hung_up}".strip()
                return None
        return self._said

    def _take(self) -> tuple[int, Any] | None:
        with self._changed:
            if not self._waiting:
                self._changed.wait(TICK)
            if not self._waiting:
                return None
            taken = self._waiting.popleft()
            self._bytes -= len(taken[1].payload)
            self._changed.notify_all()
            return taken

    def _arrival(self, connection: int, message: Any) -> Arrival:
        payload = bytes(message.payload)
        told = self._in_hand.take((connection, message.mid, message.qos))

        def done(outcome: Mapping[str, Any]) -> None:
            told(outcome)
            self._acknowledge()

        name = f"{message.topic[:200]}/{hashlib.sha256(payload).hexdigest()}"
        return arrival_of(payload, name, done, longest=self._longest)

    def _acknowledge(self) -> None:
        for connection, number, qos in self._in_hand.kept():
            if connection == self._connection:
                self._client.ack(number, qos)

    # Called by the client's thread

    def _say(self, answer: Answer) -> None:
        """What the broker answers to the first attempt."""
        self._said = answer
        self._answered.set()

    def _connected(self, client: Any, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if code.is_failure:
            if not self._too_new and code == UNSUPPORTED:
                self._say("too new")
            else:
                self._refused = str(code)
                self._say("refused")
            return
        if self._connection:
            logger.warning("%s: is back", self._address)
        self._connection += 1
        client.subscribe(self._address.topic, qos=1)

    def _subscribed(self, _c: Any, _data: Any, _mid: Any, codes: Any, _props: Any) -> None:
        if any(code.is_failure for code in codes):
            self._refused = str(codes[0])
        self._say("taken in" if self._refused is None else "refused")

    def _disconnected(self, _c: Any, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if not self._connection:
            self._hung_up = f"({code})"
            if not self._too_new and self._refused is None:
                self._say("too new")  # an old broker may hang up at what it does not understand
        elif code.is_failure and not self._ended.is_set():
            logger.warning("%s: cannot be reached, and is waited for: %s", self._address, code)

    def _came(self, _client: Any, _data: Any, message: Any) -> None:
        """Hold a message; where there are too many, what the broker sends is not read."""
        size = len(message.payload)
        with self._changed:
            while self._waiting and (
                len(self._waiting) >= WAITING or self._bytes + size > WAITING_BYTES
            ):
                if self._ended.is_set():
                    return
                self._changed.wait(TICK)
            self._waiting.append((self._connection, message))
            self._bytes += size
            self._changed.notify_all()
