"""The order of the tests: nothing is left out, and what waits is played beside what computes from first to last."""

from pathlib import Path

from tests.order import COMPUTING, WAITING, spread

HERE = Path(__file__).parents[1]


def files(**rooms: int) -> list[Path]:
    """So many test modules in each room."""
    return [Path(room, f"test_{number}.py") for room, many in rooms.items() for number in range(many)]


def told(some: list[Path]) -> list[str]:
    return [f"{path.parts[0]}{path.stem[5:]}" for path in some]


def test_both_kinds_are_spread_over_the_whole_and_a_room_keeps_its_order():
    some = files(web=2, browser=2, sync=6, stories=2)
    assert told(spread(some)) == [
        *("stories0", "browser0", "stories1", "sync0", "browser1", "sync1"),
        *("sync2", "web0", "sync3", "sync4", "web1", "sync5"),
    ]


def test_one_room_alone_and_none_at_all():
    assert told(spread(files(sync=3))) == ["sync0", "sync1", "sync2"]
    assert spread([]) == []


def test_a_room_without_a_place_comes_last_of_what_computes():
    assert told(spread(files(new=2, mail=2))) == ["mail0", "mail1", "new0", "new1"]


def test_every_room_has_its_place():
    rooms = {path.relative_to(HERE).parts[0] for path in HERE.rglob("test_*.py") if path.parent != HERE}
    assert rooms == {*WAITING, *COMPUTING}
