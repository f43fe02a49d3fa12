"""What is remembered: private, whole, and clear when it cannot be read."""

import errno
import os
import threading
from pathlib import Path

import pytest

from scheduler.machine.secret import new_password, write_if_changed
from scheduler.machine.state import load_state, new_state, open_state_folder, save_state, state_lock
from shared.errors import ServiceError
from shared.settings import Settings


def test_a_saved_state_is_read_back(tmp_path: Path) -> None:
    state = new_state()
    save_state(tmp_path, state)
    assert load_state(tmp_path) == state


def test_no_state_is_none(tmp_path: Path) -> None:
    assert load_state(tmp_path) is None


def test_the_state_is_readable_for_its_owner_only(tmp_path: Path) -> None:
    save_state(tmp_path, new_state())
    assert (tmp_path / "services.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"unknown": 1}', "[]", '{"ports": [], "passwords": {}}', '{"ports": {}, "passwords": {}}'],
)
def test_a_damaged_state_names_the_file_and_the_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / "services.json").write_text(text)
    with pytest.raises(ServiceError, match=r"services\.json is damaged: .* `make clean`"):
        load_state(tmp_path)


def test_a_state_folder_that_is_a_file_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ServiceError, match=f"cannot use the state folder {file}: Not a directory"):
        load_state(file)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space there, or set"),
        (errno.EACCES, "permit .* or set"),
        (errno.EROFS, "set"),
    ],
)
def test_what_cannot_be_written_gets_the_remedy_of_its_cause(
    tmp_path: Path, number: int, remedy: str
) -> None:
    settings = Settings.model_validate({"state_dir": tmp_path / "state"})
    text = f"cannot use the state folder .*: {os.strerror(number)} .*file.*; {remedy} STATE_DIR to another"
    with pytest.raises(ServiceError, match=text), open_state_folder(settings) as state_dir:
        raise OSError(number, os.strerror(number), str(state_dir / "file"))


def test_what_fails_elsewhere_is_not_blamed_on_the_state_folder(tmp_path: Path) -> None:
    settings = Settings.model_validate({"state_dir": tmp_path / "state"})
    text = "^cannot use /elsewhere/program: Permission denied$"
    with pytest.raises(ServiceError, match=text), open_state_folder(settings):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/program")


def test_passwords_differ_and_need_no_quoting() -> None:
    assert new_password() != new_password()
    assert new_password().isalnum()


def test_an_unchanged_file_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert write_if_changed(file, "a")
    before = file.stat()
    assert not write_if_changed(file, "a")
    assert file.stat() == before
    assert write_if_changed(file, "b")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_if_changed(file, "old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_if_changed(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_lock_lets_one_in_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []
    is_waiting = threading.Event()

    def wait_for_lock() -> None:
        is_waiting.set()
        with state_lock(tmp_path):
            order.append("second")

    with state_lock(tmp_path):
        thread = threading.Thread(target=wait_for_lock)
        thread.start()
        is_waiting.wait()
        thread.join(timeout=0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
