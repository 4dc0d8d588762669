"""Does a first sync slow down as the database grows? The same letters into databases of several sizes.

    python bench/grow.py [--letters 10000] [--sizes 0,100000,1000000]

Prints one line of JSON: for each size letters a second and CPU in milliseconds a letter, and `x_slowest`, the longest
time over the shortest. What is there already was written by plain SQL: two hundred mailboxes, conversations of three,
words, bodies, ledger. One letter in ten of it lies in the mailbox that is synced.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402

from bench.installation import installation, mailbox, people, sync  # noqa: E402
from bench.sync import fill  # noqa: E402
from tests.servers.dovecot import Dovecot  # noqa: E402

OTHERS = 200
# Message and conversation numbers from `first` to `last`; a tenth goes to `box`, the rest to the others in turn.
SEED = """
CREATE TEMP TABLE seed ON COMMIT DROP AS
  SELECT n, first + n - 1 AS id, first + (n - 1) / 3 AS thread,
         CASE WHEN (n / 3) %% 10 = 0 THEN %(box)s ELSE boxes[1 + (n / 3) %% cardinality(boxes)] END AS box
    FROM (SELECT coalesce(max(id), 0) + 1 AS first FROM mail_message) m,
         (SELECT array_agg(id) AS boxes FROM mailboxes_mailbox WHERE id <> %(box)s) b,
         generate_series(1, %(count)s) n;
INSERT INTO mail_conversation (id, mailbox_id) SELECT DISTINCT ON (thread) thread, box FROM seed ON CONFLICT DO NOTHING;
INSERT INTO mail_message (id, mailbox_id, conversation_id, sha256, outgoing, known, owner_party, message_id, subject,
    from_name, from_address, also_from, "to", cc, reply_to, date, received_at, stored_at, size, preview,
    has_attachments, automatic, remote_images, defects, quarantined)
  SELECT id, box, thread, sha256(id::text::bytea), false, n %% 3 = 0, n %% 3 = 0, id || '@seed.example', 'Subject ' || id,
    'Person ' || n %% 5000, 'p' || n %% 5000 || '@seed.example', '[]', '[["", "support@example.org"]]', '[]', '[]',
    at, at, at, 3000, repeat('preview ', 20), false, '', 0, '[]', ''
    FROM seed, LATERAL (SELECT timestamptz '2020-01-01' + id * interval '1 minute' AS at) t;
INSERT INTO mail_body (message_id, mailbox_id, text, html, sanitizer_version)
  SELECT id, box, %(text)s, %(html)s, 1 FROM seed;
INSERT INTO mail_raw (message_id, mailbox_id, place, data)
  SELECT id, box, '', sha512(id::text::bytea) || sha512(n::text::bytea) || sha512(thread::text::bytea) FROM seed;
INSERT INTO mail_messagesearch (message_id, wall_key, received_at, tsv)
  SELECT m.id, m.wall_key, m.received_at,
    array_to_tsvector(ARRAY(SELECT DISTINCT 'w' || (seed.id * 7919 * k * k) %% (20 + k * 400) FROM generate_series(1, 60) k))
    FROM seed JOIN mail_message m USING (id);
INSERT INTO mail_reference (mailbox_id, id_hash, conversation_id)
  SELECT box, hashint8extended(id, 7), thread FROM seed;
INSERT INTO mail_sighting (mailbox_id, folder_id, uidvalidity, uid, outcome, reason, message_id)
  SELECT box, f.id, 1, seed.id, 'imported', '', seed.id
    FROM seed JOIN mailboxes_folder f ON f.mailbox_id = box AND f.name = 'Seeded';
SELECT setval(pg_get_serial_sequence('mail_message', 'id'), (SELECT max(id) FROM mail_message)),
       setval(pg_get_serial_sequence('mail_conversation', 'id'), (SELECT max(id) FROM mail_conversation));
"""


def others(port: int) -> None:
    """Two hundred mailboxes of other people, each with a folder for what is seeded."""
    from postern.mailboxes.models import Folder, Mailbox
    from postern.people.models import Staff

    for number in range(OTHERS):
        owner = Staff.objects.create_staff(email=f"other{number}@isp.example", name="Other", password=None)
        Mailbox.objects.create(owner=owner, address=owner.email, imap_host="localhost", imap_port=port)
    Folder.objects.bulk_create(
        Folder(mailbox=box, name="Seeded", role=Folder.Role.INBOX, uidvalidity=1)
        for box in Mailbox.objects.all()
    )


def grow(box: int, size: int) -> None:
    """Fill the database up to `size` messages, some of them in `box`; statistics and visibility as after a night."""
    from django.db import connection, transaction

    from postern.mail.models import Message
    from postern.mail.packing import pack
    from postern.mailboxes.models import Folder

    Folder.objects.create(mailbox_id=box, name="Seeded", role=Folder.Role.INBOX, uidvalidity=1)
    body = {"text": pack(os.urandom(100).hex().encode()), "html": pack(b"")}
    missing = size - Message.objects.count()
    with connection.cursor() as cursor:
        if missing > 0:
            cursor.execute("DROP INDEX search_words")
            while missing > 0:
                with transaction.atomic():
                    cursor.execute(SEED, {"box": box, "count": min(missing, 100_000)} | body)
                missing -= 100_000
            cursor.execute("CREATE INDEX search_words ON mail_messagesearch USING gin (tsv)")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=10_000)
    parser.add_argument("--sizes", default="0,100000,1000000")
    wanted = parser.parse_args()
    count, runs = wanted.letters, []
    with Dovecot({"bench": "secret"}) as server, installation() as database:
        fill(server, count)
        people(count)
        others(server.port)
        assert database.process
        warm = mailbox(server.port, "warm")  # Dovecot's caches, and the memory of PostgreSQL
        sync(warm)
        for number, size in enumerate(map(int, wanted.sizes.split(","))):
            box, begun = mailbox(server.port, f"owner{number}"), time.perf_counter()
            grow(box, size)
            grown = time.perf_counter() - begun
            done = sync(box, psutil.Process(database.process.pid))
            if done["stored"] != count:
                raise SystemExit(f"only {done['stored']} of {count} letters were stored")
            runs.append(
                {
                    "messages_before": size,
                    "letters_per_second": round(count / done["seconds"]),
                    "worker_cpu_ms": round(done["worker"] * 1000 / count, 3),
                    "postgres_cpu_ms": round(done["other"][0] * 1000 / count, 3),
                    "seeding_s": round(grown),
                    "load": round(os.getloadavg()[0], 1),
                }
            )
    speeds = [run["letters_per_second"] for run in runs]
    costs = [run["postgres_cpu_ms"] for run in runs]
    ratios = {
        "x_slowest": round(max(speeds) / min(speeds), 2),
        "x_postgres_cpu": round(max(costs) / min(costs), 2),
    }
    print(json.dumps({"bench": "grow", "letters": count, **ratios, "runs": runs}))


if __name__ == "__main__":
    main()
