"""The .env of the stack: written once, private, and never changed where it says something."""

import socket
from pathlib import Path

import pytest

from scheduler.stack import env_file
from scheduler.stack.env_file import complete_env_file, read_env_file, set_in_env_file

EXAMPLE = env_file.EXAMPLE
PORTS = ("POSTGRES_PORT", "REDIS_PORT", "FLOWER_PORT", "DASHBOARD_PORT", "SCHEDULER_PORT")
PASSWORDS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "FLOWER_PASSWORD", "DASHBOARD_PASSWORD")


def test_a_new_file_is_private_and_complete(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert complete_env_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    variables = read_env_file(path)
    passwords = {variables[name] for name in PASSWORDS}
    # 24 random bytes each, all different.
    assert {len(password) for password in passwords} == {48}
    assert len(passwords) == 4
    assert len({variables[name] for name in PORTS}) == 5
    assert variables["PUBLISH_ADDRESS"] == "127.0.0.1"


def test_two_clones_have_different_names_and_passwords(tmp_path: Path) -> None:
    for name in ("one", "two"):
        complete_env_file(tmp_path / name)
    one, two = read_env_file(tmp_path / "one"), read_env_file(tmp_path / "two")
    for name in ("COMPOSE_PROJECT_NAME", *PASSWORDS):
        assert one[name] != two[name]


def test_a_complete_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    complete_env_file(path)
    before = path.read_text()
    assert not complete_env_file(path)
    assert path.read_text() == before


def test_what_a_person_wrote_is_kept_and_what_is_missing_added(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("DATA_DIR=/srv/ratings\nREDIS_PASSWORD=mine\nFLOWER_PORT=\n")
    assert complete_env_file(path)
    variables = read_env_file(path)
    assert variables["DATA_DIR"] == "/srv/ratings"
    assert variables["REDIS_PASSWORD"] == "mine"
    assert variables["FLOWER_PORT"]
    assert variables["POSTGRES_PASSWORD"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ('"in marks"', "in marks"),
        ("'it is # mine'", "it is # mine"),
        ('"marked"  # and told why', "marked"),
        ("a=b#c", "a=b#c"),
        ("word # told why", "word"),
        ("# nothing", ""),
        ('"', '"'),
        ("", ""),
    ],
)
def test_values_are_read_as_compose_reads_them(tmp_path: Path, text: str, value: str) -> None:
    (tmp_path / ".env").write_text(f"# a comment\nREDIS_PASSWORD= {text}\n")
    assert read_env_file(tmp_path / ".env") == {"REDIS_PASSWORD": value}


def test_a_taken_port_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(env_file, "USUAL_PORTS", dict.fromkeys(PORTS, port))
        complete_env_file(tmp_path / ".env")
    variables = read_env_file(tmp_path / ".env")
    assert all(int(variables[name]) > port for name in PORTS)


def test_one_variable_is_replaced_and_the_file_stays_private(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    complete_env_file(path)
    set_in_env_file("DATA_DIR", "/a", path)
    set_in_env_file("DATA_DIR", "/b", path)
    assert path.read_text().count("\nDATA_DIR=") == 1
    assert read_env_file(path)["DATA_DIR"] == "/b"
    assert path.stat().st_mode & 0o777 == 0o600
