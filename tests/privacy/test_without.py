"""Every question that the code asks about a person: without any one of them something turns red (S-077).

Nothing but the code holds here: all run as the superuser, past whom the row policies let everything. The check is taken
away in this process, so that trying one costs no more than the test that must notice.
"""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from tests.privacy import alone_mail, alone_office, test_numbers
from tests.privacy.alone import Story
from tests.privacy.candidates import Candidate, candidates, read, taken_away
from tests.privacy.killers import EXCEPTIONS, KILLERS
from tests.privacy.mutations import MUTANTS, ROOT
from tests.privacy.scene import Scene
from tests.privacy.test_matrix import OPERATIONS, PAGES, asked_of, hold
from tests.privacy.test_offers import api_keeps_its_word, keeps_its_word
from tests.reliability.scale import turn

STORIES: dict[str, Story] = {
    name: value
    for room in (alone_mail, alone_office)
    for name, value in vars(room).items()
    if not name.startswith("_") and getattr(value, "__module__", "") == room.__name__
}
CODE = """
class Rows:
    def of(self, staff):
        return self.filter(owner=staff) | Q(author_id=staff.pk)

def shown(request, staff, pk):
    rows = Message.objects.visible_to(staff) | Delivery.objects.of(staff)
    if not staff.is_super or rows[0].owner_id != staff.pk:
        return own_mailbox(staff, pk), get_object_or_404(Reader, pk=pk, staff_id=staff.pk)

@for_super
def page(request):
    return may_answer(request.user, None)
"""
FOUND = [
    "x.py Rows.of filter(owner=)", "x.py Rows.of Q(author_id=)", "x.py shown visible_to", "x.py shown of",
    "x.py shown is_super", "x.py shown owner_id !=", "x.py shown own_mailbox",
    "x.py shown get_object_or_404(staff_id=)", "x.py page @for_super", "x.py page may_answer",
]  # fmt: skip


def test_a_new_question_of_any_kind_would_be_found():
    assert [one.key for one in read("x.py", CODE)] == FOUND


@pytest.mark.rule("S-077")
def test_every_question_has_what_turns_red_without_it():
    """A new one belongs in killers.py; so does one that is no check of who may, with the reason."""
    found = candidates()
    listed = {key for key, one in found.items() if _in_mutations(one)}
    assert found.keys() - KILLERS.keys() - EXCEPTIONS.keys() - listed == set()
    assert (KILLERS.keys() | EXCEPTIONS.keys()) - found.keys() == set(), "gone from the code"
    assert KILLERS.keys() & EXCEPTIONS.keys() == set() and all(EXCEPTIONS.values())


def _in_mutations(one: Candidate) -> bool:
    """True when a mutant of mutations.py takes that very text away."""
    whole = (ROOT / "postern" / one.file).read_text()
    places = [(whole.index(m.old), m.old) for m in MUTANTS if m.file == one.file and m.old in whole]
    return any(at <= one.span[0] and one.span[1] <= at + len(old) for at, old in places)


@pytest.mark.rule("S-077")
@pytest.mark.parametrize("name", STORIES)
def test_the_code_alone_refuses(scene, acting_as, name):
    with acting_as("superuser"):
        tell(scene, name)


@pytest.mark.rule("S-077")
@pytest.mark.parametrize("key", [one for number, one in enumerate(KILLERS) if turn(number)])
def test_s077_without_any_one_question_something_turns_red(scene, acting_as, key, record_property):
    """A twelfth of them, in `.ci/run` another each time; all in `./dev soak`."""
    with acting_as("superuser"):
        tell(scene, KILLERS[key])
        with taken_away(candidates()[key]), pytest.raises(RED):
            tell(scene, KILLERS[key])
        tell(scene, KILLERS[key])
    record_property("questions taken away", f"{key}: {KILLERS[key]}")


RED = (AssertionError, pytest.fail.Exception, IntegrityError)
"""What a story ends with that no longer holds: at times the database is asked for what the code should have refused."""


def tell(scene: Scene, name: str) -> None:
    """Run what killers.py names: a story, the rows of a page or operation, what a page offers whom, or whose numbers stay
    when what happens."""
    with transaction.atomic():
        if name in STORIES:
            STORIES[name](scene)
        elif name in PAGES or name in OPERATIONS:
            for template, row in asked_of(name):
                hold(scene, template, row)
        elif name.startswith("offers "):
            actor, what = name.split()[1:]
            (keeps_its_word if what in PAGES else api_keeps_its_word)(scene, actor, what)
        else:
            actor, change, *pages = name.split()
            test_numbers.stays(scene, actor, getattr(test_numbers, change), *pages)
        transaction.set_rollback(True)
