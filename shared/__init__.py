"""What the services share: the words on the wire (`contracts`), pure mechanisms, and the machinery around the ledger."""
