"""The command line, `cairn`: the local installation, one process per service, imports, and what keeps the record in order."""

from services.cli.app import app

__all__ = ["app"]
