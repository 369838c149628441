"""One database and two roles per service: the owner migrates, the app may connect; what it may do there the migrations grant."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from shared.stack.state import StackError, forget_passwords, knows_password, locked, password

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
OWNER, APP = "owner", "app"
ASK_LIMIT_S = 5
ONE_AFTER_ANOTHER = "SELECT pg_advisory_lock(hashtext('cairn: databases and roles'))"
"""Until the connection ends: two homes that meet a new server at once must not both find it without roles."""


@dataclass(frozen=True)
class ServiceDatabase:
    """How to reach a service's database: as its owner (migrations only) and as the app."""

    owner_url: str = field(repr=False)
    app_url: str = field(repr=False)


def create_database(admin_url: str, service: str, home: Path, suffix: str = "") -> ServiceDatabase:
    """Return the service's database, made with its roles where they are missing. May be repeated, also at the same time.

    Args:
        admin_url: of a role that may create databases and roles.
        home: where the roles' passwords are kept.
        suffix: stands after the service in the names of the database and of both roles; tests keep apart by it.

    Raises:
        StackError: service or suffix cannot be part of a name; or a role is there already and another installation's: nothing is changed.
    """
    database, roles = _names(service, suffix)
    with locked(home, "databases"), psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(ONE_AFTER_ANOTHER)
        _require_own(admin, admin_url, home, database, roles.values())
        secrets = {role: password(home, role) for role in roles.values()}  # Before the roles: a role without one here is another's.
        for role, secret in secrets.items():
            _ensure_role(admin, role, secret)
        _ensure_database(admin, database, roles, template="template0")
    return ServiceDatabase(*(_url(admin_url, database, role, secret) for role, secret in secrets.items()))


def require_own_roles(admin_url: str, services: Iterable[str], home: Path) -> None:
    """Return when none of these services has a role on this server that is another installation's; changes nothing.

    Raises:
        StackError: one has.
    """
    with psycopg.connect(admin_url, autocommit=True) as admin:
        for service in services:
            database, roles = _names(service)
            _require_own(admin, admin_url, home, database, roles.values())


def owned_database(admin_url: str, service: str, home: Path) -> ServiceDatabase | None:
    """Return how to reach the database that this home has made for a service on this server; None where there is none. Changes nothing.

    A role whose password this home never drew is another installation's, and so is what belongs to it.

    Raises:
        StackError: the server takes another password than the one that this home drew, so it cannot be told whose the role is.
    """
    database, roles = _names(service)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        if not _has_made(admin, admin_url, home, database, roles.values()) or not _has_database(admin, database):
            return None
    return ServiceDatabase(*(_url(admin_url, database, role, password(home, role)) for role in roles.values()))


def drop_owned(admin_url: str, service: str, home: Path) -> str | None:
    """Remove the database and the roles that this home has made for a service, and return the database's name; None where it made none.

    Raises:
        StackError: as for `owned_database`; nothing was removed.
    """
    database, roles = _names(service)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        if not _has_made(admin, admin_url, home, database, roles.values()):
            return None
    drop_database(admin_url, database)
    drop_roles(admin_url, home, list(roles.values()))
    return database


def _has_made(admin: psycopg.Connection, admin_url: str, home: Path, database: str, roles: Iterable[str]) -> bool:
    """Say whether this home has made one of these roles, and so the database."""
    if not any(_is_there(admin, role) and knows_password(home, role) for role in roles):
        return False
    _require_own(admin, admin_url, home, database, roles)
    return True


def copy_database(admin_url: str, source: ServiceDatabase, database: str) -> ServiceDatabase:
    """Return a fresh copy of a database, with the same roles: what a test gets instead of migrating again.

    Nobody may be connected to the source.
    """
    owner, app = (urlsplit(url) for url in (source.owner_url, source.app_url))
    roles = {OWNER: str(owner.username), APP: str(app.username)}
    with psycopg.connect(admin_url, autocommit=True) as admin:
        _ensure_database(admin, database, roles, template=owner.path.removeprefix("/"))
    return ServiceDatabase(*(urlunsplit(url._replace(path=f"/{database}")) for url in (owner, app)))


def drop_database(admin_url: str, database: str) -> None:
    """Remove a database with everything in it, whoever is connected. May be repeated."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


def drop_roles(admin_url: str, home: Path, roles: list[str]) -> None:
    """Remove roles that own nothing any more, and their passwords. May be repeated."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        for role in roles:
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
    forget_passwords(home, roles)


def _names(service: str, suffix: str = "") -> tuple[str, dict[str, str]]:
    """Return what a service's database and its roles are called."""
    database = f"cairn_{service}{suffix}"
    if not NAME.fullmatch(database):
        raise StackError(f"{database!r} cannot be a database's name: use at most 40 lower-case letters, digits and underscores")
    return database, {part: f"{service}{suffix}_{part}" for part in (OWNER, APP)}


def _require_own(admin: psycopg.Connection, admin_url: str, home: Path, database: str, roles: Iterable[str]) -> None:
    """Refuse a role that is there and that this home has no password of, or one that is not taken: then it was drawn for another server."""
    for role in roles:
        if not _is_there(admin, role):
            continue
        known = knows_password(home, role)
        if not known or not _lets_in(_url(admin_url, database, role, password(home, role))):
            own = (
                f"restored without its password, give it that of {home / 'secrets.json'}"
                if known
                else f"put {home / 'secrets.json'} back from a backup: it holds no password of it"
            )
            raise StackError(
                f"this server already holds another installation's role {role}: use that installation's --home (or CAIRN_HOME), "
                f"or another server; where it is this installation's own, {own}. Nothing was changed there"
            )


def _lets_in(url: str) -> bool:
    """Say whether the password is right, as far as the server says: what keeps us out for another reason is not told from it here."""
    try:
        psycopg.connect(url, connect_timeout=ASK_LIMIT_S).close()
    except psycopg.OperationalError as error:
        return "authentication failed" not in str(error)
    return True


def _is_there(admin: psycopg.Connection, role: str) -> bool:
    return admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None


def _has_database(admin: psycopg.Connection, database: str) -> bool:
    return admin.execute("SELECT FROM pg_database WHERE datname = %s", [database]).fetchone() is not None


def _ensure_role(admin: psycopg.Connection, role: str, secret: str) -> None:
    verb = "ALTER" if _is_there(admin, role) else "CREATE"
    form = sql.SQL(f"{verb} ROLE {{}} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD {{}}")
    admin.execute(form.format(sql.Identifier(role), sql.Literal(secret)))


def _ensure_database(admin: psycopg.Connection, database: str, roles: dict[str, str], template: str) -> None:
    name, owner, app = (sql.Identifier(word) for word in (database, roles[OWNER], roles[APP]))
    if not _has_database(admin, database):
        if admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() != (True,):
            admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(owner))  # Who is not superuser may give only to roles it belongs to.
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(name, owner, sql.Identifier(template)))
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    admin.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, app))


def _url(admin_url: str, database: str, role: str, secret: str) -> str:
    """Return the administrator's address with another user and database."""
    parts = urlsplit(admin_url)
    return urlunsplit(parts._replace(netloc=f"{role}:{secret}@{parts.netloc.rpartition('@')[2]}", path=f"/{database}"))
