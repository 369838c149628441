"""From other services' topics into the ledger: nothing lost, doubled or reordered, whatever Kafka or a crash does."""

from shared.consume.health import Progress
from shared.consume.subscriber import Consumer
from shared.consume.write import TooManyParked, Unparkable

__all__ = ["Consumer", "Progress", "TooManyParked", "Unparkable"]
