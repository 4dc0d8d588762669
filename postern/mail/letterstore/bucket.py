"""Letters in a bucket that speaks S3. Needs the extra `postern[s3]`.

The operator names the server and the key in the variables that S3 programs share (AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION); nothing an administrator types ever comes here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from postern.mail.letterstore import BadLetters, LetterMissing, LetterStoreDown

TIMEOUT = "30s"


class Bucket:
    """Letters below a prefix of one bucket. where: `bucket` or `bucket/prefix`."""

    def __init__(self, where: str) -> None:
        bucket, _, prefix = where.partition("/")
        if not bucket:
            raise BadLetters("POSTERN_LETTERS names no bucket: s3://bucket/prefix")
        try:
            from obstore.exceptions import BaseError
            from obstore.store import S3Store
        except ImportError as error:
            raise BadLetters("letters in S3 need one more package: pip install 'postern[s3]'") from error
        self._error: type[Exception] = BaseError
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")  # a server in the house
        self._store: Any = S3Store(
            bucket,
            prefix=prefix.strip("/") or None,
            client_options={"timeout": TIMEOUT, "allow_http": plain},
        )

    def put(self, name: str, packed: bytes) -> None:
        """Put the object; S3 answers when it is durable."""
        try:
            self._store.put(name, packed)
        except self._error as error:
            raise LetterStoreDown(f"the bucket did not take a letter: {_first_line(error)}") from error

    def get(self, name: str) -> bytes:
        """Return the object's bytes."""
        try:
            return bytes(self._store.get(name).bytes())
        except FileNotFoundError as error:
            raise LetterMissing(f"the letter {name} is not in the bucket") from error
        except self._error as error:
            raise LetterStoreDown(f"the bucket did not give a letter: {_first_line(error)}") from error

    def remove(self, name: str) -> None:
        """Delete the object."""
        try:
            self._store.delete(name)
        except FileNotFoundError:
            pass
        except self._error as error:
            raise LetterStoreDown(f"the bucket did not remove a letter: {_first_line(error)}") from error

    def names(self) -> Iterator[tuple[str, float]]:
        """Each object below the prefix."""
        for page in self._store.list():
            for entry in page:
                yield entry["path"], entry["last_modified"].timestamp()


def _first_line(error: Exception) -> str:
    """What a person needs of obstore's long report."""
    return str(error).split("\n", 1)[0][:300]
