"""The supervisor reads back exactly what we mean, whatever characters a path holds."""

import io
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervisor.options import ServerOptions, UnhosedConfigParser

from scheduler.machine.configuration import quote_command, render_configuration
from scheduler.machine.programs import Program

_WORKER = Program("worker", ("/a b/python", "-m", "celery"), priority=50, stop_wait_seconds=30)


def read_back(configuration: str) -> UnhosedConfigParser:
    parser = UnhosedConfigParser()
    parser.read_file(io.StringIO(configuration))
    return parser


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1), min_size=1))
def test_any_command_is_read_back_word_by_word(command: list[str]) -> None:
    parser = read_back(f"[program:x]\ncommand={quote_command(command)}\n")
    assert shlex.split(parser.saneget("program:x", "command", None)) == command


@pytest.mark.parametrize("word", ["a #b", "a ;b", "100%s", "it's", 'say "x"', "ü\\n", "$HOME", "%(here)d"])
def test_signs_with_a_meaning_are_read_back(word: str) -> None:
    parser = read_back(f"[program:x]\ncommand={quote_command([word, word])}\n")
    assert shlex.split(parser.saneget("program:x", "command", None)) == [word, word]


def test_supervisor_accepts_the_whole_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    file = tmp_path / "supervisor.conf"
    file.write_text(render_configuration([_WORKER], port=1234, password="pw", identifier="me", is_root=False))
    options = ServerOptions()
    options.realize(args=["-c", str(file)])
    assert options.identifier == "me"
    [http] = options.server_configs
    assert (http["host"], http["port"], http["password"]) == ("127.0.0.1", 1234, "pw")
    [group] = options.process_group_configs
    [process] = group.process_configs
    assert shlex.split(process.command) == list(_WORKER.command)
    assert (process.autostart, process.stopwaitsecs, process.priority) == (False, 30, 50)
    assert process.stdout_logfile == "logs/worker.log"


def test_running_as_root_is_said_so_that_supervisor_does_not_warn() -> None:
    as_root = render_configuration([], port=1, password="pw", identifier="me", is_root=True)
    as_user = render_configuration([], port=1, password="pw", identifier="me", is_root=False)
    assert "user = root" in as_root
    assert "user = root" not in as_user
