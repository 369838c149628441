"""`python -m services.cli` is `cairn`."""

from services.cli import app

app()
