"""Samples from a topic of Kafka, or of what speaks its protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from threading import Event
from time import monotonic
from typing import Any

from edgetransfer.data.streams.arrivals import Arrival, Ledger, Reply, no_reply
from edgetransfer.data.streams.brokers.acknowledging import InHand
from edgetransfer.data.streams.brokers.address import BrokerAddress, mend_of
from edgetransfer.data.streams.brokers.messages import arrival_of, text_of
from edgetransfer.errors import DataError, UsageError

logger = logging.getLogger(__name__)

AT_ONCE = 64
TICK = 0.25
LOOK_SECONDS = 60.0  # between looks for further partitions
FIRST_SECONDS = 10.0  # to reach the broker


class KafkaSource:
    """Messages of all partitions of a topic; offsets are committed behind the journal.

    A message is a photo, with ``label`` and ``id`` in its headers, or a JSON object with
    ``base64``, ``label`` and ``id``. Without an id it is ``topic/partition/offset``. Of each
    partition the offset is committed up to which all messages are in the journal; those behind it
    come again after a restart, and are known. The partitions are taken, not handed out by the
    group: a run has one reader, which need not wait until the broker believes a killed one dead.

    Parameters
    ----------
    address
        Its topic; options: ``group``, ``start=new``, and any of librdkafka's settings.
    group
        Of consumers, where the address names none.
    longest
        Bytes of one message.
    once
        End when all partitions are read to their ends.
    reply
        Told what became of each.

    Raises
    ------
    UsageError
        If confluent-kafka is not installed, or a setting is none.
    DataError
        If the broker cannot be reached, or has no such topic.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        group: str,
        longest: int,
        once: bool = False,
        reply: Reply = no_reply,
    ) -> None:
        try:
            import confluent_kafka as kafka
        except ImportError as error:
            raise UsageError(
                f"{address}: it needs confluent-kafka: pip install 'edgetransfer[kafka]' brings it"
            ) from error
        self._kafka = kafka
        self._address = address
        self._longest = longest
        self._once = once
        self._reply = reply
        self._in_hand: dict[int, InHand[int]] = {}
        self._ends: set[int] = set()
        self._partitions: set[int] = set()
        self._looked = 0.0
        self._away = False
        self._said = ""  # why the broker will have none of us
        self._offsets: dict[int, int] = {}
        self._is_due = False  # there are some that are not committed
        self._consumer = self._opened(group)

    def _opened(self, group: str) -> Any:
        address = self._address
        options = dict(address.options)
        start = "latest" if options.pop("start", "") == "new" else "earliest"
        login = {} if address.user is None else {"sasl.username": address.user}
        if address.password is not None:
            login["sasl.password"] = address.password
        settings = {
            "group.id": options.pop("group", group),
            "auto.offset.reset": start,
            "log_level": 2,
            **login,
            **options,
            "bootstrap.servers": f"{address.host}:{address.port}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "error_cb": self._failed,
            "on_commit": self._committed,
        }
        try:
            consumer = self._kafka.Consumer(settings)
        except self._kafka.KafkaException as error:
            raise UsageError(f"{address}: {error.args[0].str()}") from error
        try:
            found = consumer.list_topics(address.topic, timeout=FIRST_SECONDS)
        except self._kafka.KafkaException as error:
            consumer.poll(0)  # tells `_failed` of what went wrong meanwhile
            consumer.close()
            said = self._said or error.args[0].str()
            usual = "check the address, that the broker runs, and the credentials"
            mend = mend_of(said, usual, "?ssl.ca.location=CA.pem")
            raise DataError(f"{address}: cannot be reached: {said}; {mend}") from error
        topic = found.topics[address.topic]
        if topic.error is not None or not topic.partitions:
            consumer.close()
            raise DataError(f"{address}: no such topic: {topic.error}")
        return consumer

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        del ledger
        consumer = self._consumer
        try:
            while not stop.is_set():
                self._take_partitions()
                self._commit()
                for message in consumer.consume(AT_ONCE, TICK):
                    if message.error() is None:
                        self._is_there()
                        self._ends.discard(message.partition())
                        yield self._arrival(message)
                    elif message.error().code() == self._kafka.KafkaError._PARTITION_EOF:
                        self._ends.add(message.partition())
                    elif message.error().fatal():
                        raise DataError(f"{self._address}: {message.error().str()}")
                if self._once and self._ends >= self._partitions:
                    return
        finally:
            for in_hand in self._in_hand.values():
                in_hand.finish(self._commit)
            consumer.close()

    def _arrival(self, message: Any) -> Arrival:
        partition, offset = message.partition(), message.offset()
        in_hand = self._in_hand.setdefault(partition, InHand(self._reply))
        reply = in_hand.take(offset)
        name = f"{self._address.topic}/{partition}/{offset}"
        said = dict(message.headers() or ())
        try:
            label = text_of(said.get("label"), "label")
            sample_id = text_of(said.get("id"), "id")
        except DataError as error:
            return Arrival(id=name, problem=str(error), reply=reply)
        return arrival_of(
            message.value() or b"",
            name,
            reply,
            longest=self._longest,
            label=label,
            sample_id=sample_id,
        )

    def _commit(self) -> None:
        """Commit up to where all is in the journal; the broker's answer is not waited for.

        While the broker is away it would not come, and nobody would be told of that.
        """
        for partition, in_hand in self._in_hand.items():
            if kept := in_hand.kept(in_order=True):
                self._offsets[partition] = kept[-1] + 1
                self._is_due = True
        if not self._is_due:
            return
        self._is_due = False
        place, topic = self._kafka.TopicPartition, self._address.topic
        places = [place(topic, partition, offset) for partition, offset in self._offsets.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
        except self._kafka.KafkaException as error:
            self._committed(error, places)

    def _committed(self, error: Any, _places: object) -> None:
        """What came of a commit; what was not committed comes again, and is known."""
        if error is not None:
            self._is_due = True
            logger.info("%s: offsets were not committed: %s", self._address, error)

    def _take_partitions(self) -> None:
        """Read all partitions from where the group stands; a topic may get more of them."""
        if self._partitions and monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = monotonic()
        topic = self._address.topic
        try:
            there = set(self._consumer.list_topics(topic, FIRST_SECONDS).topics[topic].partitions)
        except self._kafka.KafkaException:  # the broker is away
            return
        new = sorted(there - self._partitions)
        self._partitions |= there
        if new:
            self._consumer.incremental_assign(
                [self._kafka.TopicPartition(topic, number) for number in new]
            )

    def _failed(self, error: Any) -> None:
        if error.code() in (self._kafka.KafkaError._AUTHENTICATION, self._kafka.KafkaError._SSL):
            self._said = error.str()
        down = error.code() == self._kafka.KafkaError._ALL_BROKERS_DOWN
        if down and self._looked and not self._away:
            self._away = True
            logger.warning("%s: cannot be reached, and is waited for", self._address)

    def _is_there(self) -> None:
        if self._away:
            self._away = False
            logger.warning("%s: is back", self._address)
