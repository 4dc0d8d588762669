"""One-time passwords. No model here: the wall is written by these hours, before Django is set up."""

ONE_TIME_HOURS = 72
"""How long a password works that somebody else knows, by the database's clock."""
