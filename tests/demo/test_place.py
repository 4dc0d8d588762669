"""Where the demo lives: settings that lead elsewhere are dropped, and nothing stays behind."""

import os
import socket

import pytest

from postern.demo import place
from postern.demo.place import Place, free_port, local_zone


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("POSTERN_")]:
        monkeypatch.delenv(name)
    before = dict(os.environ)
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


def test_real_data_is_out_of_reach(here):
    os.environ["POSTERN_DATABASE_URL"] = "postgresql://real@db.example/postern"
    os.environ["POSTERN_DATA_DIR"] = "/var/lib/postern"
    os.environ["POSTERN_RUN_AS"] = "somebody"
    made = Place.make()
    made.enter()
    assert "POSTERN_DATABASE_URL" not in os.environ
    assert os.environ["POSTERN_DATA_DIR"] == str(made.data)
    assert made.data.parent == here
    assert os.environ["POSTERN_RUN_AS"] == "somebody"
    assert os.environ["POSTERN_DEMO"] == "1"


def test_nothing_stays_behind(here):
    made = Place.make()
    made.key.write_text("secret")
    (made.data / "postgres").mkdir()
    made.remove()
    assert list(here.iterdir()) == []
    made.remove()  # a second time is no fault


def test_two_demos_at_once_have_two_places(here):
    assert Place.make().data != Place.make().data


def test_a_taken_port_is_passed_over(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(place, "USUAL_PORT", taken.getsockname()[1])
        assert free_port() not in (0, place.USUAL_PORT)
    assert free_port() == place.USUAL_PORT


@pytest.mark.parametrize(
    ("target", "zone"),
    [
        ("usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("usr/share/zoneinfo/UTC", "UTC"),
        ("somewhere/else", "UTC"),
    ],
)
def test_the_clock_is_the_machines(tmp_path, target, zone):
    file = tmp_path / target
    file.parent.mkdir(parents=True)
    file.touch()
    link = tmp_path / "localtime"
    link.symlink_to(file)
    assert local_zone(link) == zone


def test_a_machine_without_a_zone_has_utc(tmp_path):
    assert local_zone(tmp_path / "missing") == "UTC"
