"""Messages of brokers: each is acknowledged to its broker when the journal has it, not before."""

from edgetransfer.data.streams.brokers.address import BrokerAddress, reader_name
from edgetransfer.data.streams.brokers.kafka_topic import KafkaSource
from edgetransfer.data.streams.brokers.mqtt_topic import MqttSource
from edgetransfer.data.streams.brokers.redis_stream import RedisSource

__all__ = ["BrokerAddress", "KafkaSource", "MqttSource", "RedisSource", "reader_name"]
