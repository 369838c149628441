"""What `cairn down --wipe` removes from servers of one's own: this installation's databases, roles and topics, and nothing else."""

from __future__ import annotations

from pathlib import Path

import psycopg

from services.cli.belonging import has_told
from services.cli.home import GATEWAY, kept_secrets, readable_entries, setting
from shared.contracts.topics import Topic, topic_name
from shared.settings import Settings, load_settings
from shared.stack import BY_ENVIRONMENT, KAFKA, POSTGRES, StackError, drop_owned, known_parts, owned_database
from shared.stack.kafka import drop_topics
from shared.stack.postgres import answers
from shared.stack.state import Progress, restore_passwords


def clear_own_servers(home: Path, progress: Progress) -> list[str]:
    """Remove what this home has made on servers that the environment named, and return what that was, in words. May be repeated.

    A database is this home's where its owner has the password that the home drew; a topic, where such a database has published.

    Raises:
        StackError: that cannot be done; nothing that tells how to reach it is removed either.
    """
    parts = known_parts(home)
    own = {name for name, part in parts.items() if part.how == BY_ENVIRONMENT}
    entries = readable_entries(home)
    if not own:
        return []
    restore_passwords(home, kept_secrets(entries))
    if POSTGRES not in own and not (POSTGRES in parts and answers(parts[POSTGRES].address)):
        if entries and KAFKA in own:  # Which topics are its own its ledgers alone can say.
            raise StackError(f"something of this installation is on Kafka at {parts[KAFKA].address}: run `cairn up`, then wipe again")
        return []
    known = next((entry.environment for name, entry in entries.items() if name != GATEWAY), {})
    prefix = setting(known, "topic_prefix") or load_settings(Settings).topic_prefix
    address, done = parts[POSTGRES].address, list[str]()
    try:
        progress("removing what is this installation's on your servers")
        found = {service: database for service in Topic if (database := owned_database(address, service, home)) is not None}
        if KAFKA in own:  # First: afterwards nothing says any more that they are ours.
            told = [topic_name(prefix, service) for service, database in found.items() if has_told(database.owner_url)]
            done += [f"topic {name}" for name in drop_topics(parts[KAFKA].address, told)]
        if POSTGRES in own:
            done += [f"database {name}" for service in Topic if (name := drop_owned(address, service, home))]
    except (StackError, psycopg.OperationalError) as error:
        why = "PostgreSQL does not answer, or refuses" if isinstance(error, psycopg.Error) else str(error)
        raise StackError(
            f"nothing of {home} was removed, since what it has made on your servers would stay there, and its passwords be lost: {why}. "
            f"Mend that and wipe again; where it is gone or no longer wanted, remove {home} yourself"
        ) from error
    return done
