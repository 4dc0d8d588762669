"""A seal on each policy: what its condition was when the wall was raised, in our words and in the catalogue's.

PostgreSQL words conditions in its own way, so a policy cannot be compared with our text; its seal can. Whoever
changes a policy by hand and leaves the seal alone is found by `postern check`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_SEALED = """DO $$ DECLARE p record; BEGIN
  FOR p IN SELECT * FROM pg_policies WHERE schemaname = 'public' LOOP
    EXECUTE format('COMMENT ON POLICY %I ON %I IS %L', p.policyname, p.tablename, (SELECT obj_description(c.oid,
      'pg_policy') FROM pg_policy c WHERE c.polname = p.policyname AND c.polrelid = p.tablename::regclass)
      || ' ' || md5(coalesce(p.qual, '') || '|' || coalesce(p.with_check, '')));
  END LOOP; END $$"""
SEALS = """SELECT p.tablename, p.policyname, obj_description(c.oid, 'pg_policy'), md5(coalesce(p.qual, '') || '|' || coalesce(p.with_check, ''))
  FROM pg_policies p JOIN pg_policy c ON c.polname = p.policyname AND c.polrelid = to_regclass('public.' || p.tablename)
  WHERE p.schemaname = 'public'"""
"""Rows of (table, policy, its seal or null, the digest of its condition in the catalogue's words)."""


def digest(condition: str) -> str:
    """Return the digest of a condition in our words."""
    return hashlib.md5(condition.encode(), usedforsecurity=False).hexdigest()


def seal(policies: Iterable[tuple[str, str, str, str, str]]) -> str:
    """Return the SQL that seals these policies of postern.mail.wall, just made."""
    ours = [
        f"COMMENT ON POLICY {name} ON {table} IS '{digest(text)}'" for table, name, _, _, text in policies
    ]
    return ";".join([*ours, _SEALED])
