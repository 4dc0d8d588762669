"""What the row policies cost: the same pages of the same people with them and without, taking turns.

    python bench/wall.py [--messages 1000000] [--rounds 5]

Two hundred mailboxes of fifty administrators, each of whom reads three mailboxes of colleagues besides. Pages are asked
for through Django as the role postern_web, and as a superuser to whom no row policy applies; the query layer in
Python is the same. Prints one line of JSON: for each page the median in milliseconds with and without, and `x_wall`.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.grow import grow, others  # noqa: E402
from bench.installation import installation  # noqa: E402

ADMINISTRATORS = 50
READINGS = 3
# Seeded mail has 5,000 senders, of whom every third message is a customer's.
CUSTOMERS = 500
FILE = """
INSERT INTO mail_party (mailbox_id, message_id, customer_id, by_hand)
  SELECT m.mailbox_id, m.id, a.customer_id, false FROM mail_message m JOIN people_address a ON a.email = m.from_address
   WHERE m.known"""


def people_and_grants() -> list[Any]:
    """Give the mailboxes to fifty administrators, and each of them three mailboxes of others to read."""
    from postern.mailboxes.models import Mailbox, Reader
    from postern.people.models import Address, Customer, Staff

    staff = list(Staff.objects.order_by("pk")[:ADMINISTRATORS])
    boxes = list(Mailbox.objects.order_by("pk"))
    for number, box in enumerate(boxes):
        box.owner, box.has_imap_secret, box.imap_username = staff[number % len(staff)], True, "x"
    Mailbox.objects.bulk_update(boxes, ["owner", "has_imap_secret", "imap_username"])
    Reader.objects.bulk_create(
        Reader(mailbox=boxes[(number + step) % len(boxes)], staff=one, customers_only=step == 3)
        for number, one in enumerate(staff)
        for step in range(1, READINGS + 1)
    )
    rows = Customer.objects.bulk_create(
        Customer(name=f"Customer {n}", number=str(n)) for n in range(CUSTOMERS)
    )
    Address.objects.bulk_create(
        Address(customer=row, email=f"p{3 * n}@seed.example") for n, row in enumerate(rows)
    )
    return staff


def requests(staff: list[Any]) -> dict[str, list[Callable[[], None]]]:
    """What is measured: for each page, one call for each person."""
    from django.test import Client

    from postern.mail.access import viewing_as
    from postern.mail.lists import counts
    from postern.people.models import Customer

    customers = list(Customer.objects.values_list("pk", flat=True))
    found: dict[str, list[Callable[[], None]]] = {"inbox": [], "communication": [], "counts": []}
    for number, one in enumerate(staff):
        client = Client(HTTP_HOST="localhost")
        client.force_login(one)

        def page(path: str, client: Client = client) -> None:
            status = client.get(path).status_code
            if status != 200:
                raise SystemExit(f"{path} answered {status}")

        def count(one: Any = one) -> None:
            with viewing_as(one):
                counts(one)

        customer = customers[number * 7 % len(customers)]
        found["inbox"].append(lambda page=page: page("/messages/inbox/"))  # type: ignore[misc]
        found["communication"].append(lambda page=page, pk=customer: page(f"/customers/{pk}/communication/"))  # type: ignore[misc]
        found["counts"].append(count)
    return found


def measure(calls: list[Callable[[], None]], rounds: int) -> dict[str, float]:
    """Medians in milliseconds with and without the policies; who goes first changes from call to call."""
    from django.db import connection

    spent: dict[str, list[float]] = {"with": [], "without": []}
    for turn in range(rounds + 1):
        for number, call in enumerate(calls):
            order = ("with", "without") if (turn + number) % 2 else ("without", "with")
            for how in order:
                with connection.cursor() as cursor:
                    cursor.execute("SET ROLE postern_web" if how == "with" else "RESET ROLE")
                begun = time.perf_counter()
                call()
                if turn:  # the first round only warms up
                    spent[how].append((time.perf_counter() - begun) * 1000)
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
    walled, bare = statistics.median(spent["with"]), statistics.median(spent["without"])
    return {
        "with_ms": round(walled, 2),
        "without_ms": round(bare, 2),
        "x_wall": round(walled / bare, 3),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    with installation():
        from django.db import connection

        from postern.mailboxes.models import Folder, Mailbox

        others(143)
        staff = people_and_grants()
        box = Mailbox.objects.order_by("pk")[0].pk
        Folder.objects.filter(mailbox_id=box).delete()
        grow(box, wanted.messages)
        with connection.cursor() as cursor:
            cursor.execute(FILE)
            cursor.execute("VACUUM ANALYZE")
        pages = {name: measure(calls, wanted.rounds) for name, calls in requests(staff).items()}
    print(
        json.dumps(
            {
                "bench": "wall",
                "messages": wanted.messages,
                "mailboxes": 200,
                "administrators": ADMINISTRATORS,
                **pages,
                "load": round(os.getloadavg()[0], 1),
            }
        )
    )


if __name__ == "__main__":
    main()
