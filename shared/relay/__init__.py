"""From a service's ledger to Kafka: topics, the relay that fills them in order, and the control messages that ask for what was lost."""

from shared.relay.control import Control, Lengths, Refill
from shared.relay.relay import Relay
from shared.relay.topics import ensure_topics

__all__ = ["Control", "Lengths", "Refill", "Relay", "ensure_topics"]
