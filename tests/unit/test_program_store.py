"""The folder of compiled programs: what is whole and ours is read, the rest is not; its size is bounded."""

import os
import stat
import threading

import pytest

from worker.process.private_folder import NotPrivateError, make_private
from worker.process.program_store import Program, ProgramStore

FILE_NAME = "xla_compile_cache__123__456__XLA_CPU_JIT.pb"
PROGRAM = Program(FILE_NAME, bytes(range(256)) * 4)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "compiled"
    make_private(folder)
    return folder


@pytest.fixture
def store(root):
    return ProgramStore(root, "kind")


def file_of(root, name):
    return root / "kind" / f"{name}.program"


def test_what_was_saved_is_loaded(root, store):
    store.save("one", PROGRAM)

    assert ProgramStore(root, "kind").load("one") == PROGRAM
    assert store.load("two") is None


def test_another_processor_or_tensorflow_finds_nothing(root, store):
    store.save("one", PROGRAM)

    assert ProgramStore(root, "other").load("one") is None


def test_folder_and_files_are_closed_to_others(root, store):
    store.save("one", PROGRAM)

    assert stat.S_IMODE((root / "kind").stat().st_mode) == 0o700
    assert stat.S_IMODE(file_of(root, "one").stat().st_mode) == 0o600


@pytest.mark.parametrize("n_bytes", [0, 1, 28, 100, -1])
def test_file_cut_short_is_removed(root, store, caplog, n_bytes):
    store.save("one", PROGRAM)
    path = file_of(root, "one")
    path.write_bytes(path.read_bytes()[:n_bytes])

    assert store.load("one") is None
    assert not path.exists()
    assert "is damaged" in caplog.text


def test_any_changed_byte_is_found(root, store):
    store.save("one", PROGRAM)
    path = file_of(root, "one")
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert store.load("one") is None, place


@pytest.mark.parametrize("content", [b"", b"not a program", b"\x00" * 1000, os.urandom(5000)])
def test_foreign_content_is_not_used(root, store, content):
    store.save("one", PROGRAM)
    file_of(root, "one").write_bytes(content)

    assert store.load("one") is None


@pytest.mark.parametrize("name", ["../outside.pb", "/etc/passwd", "x.pb", FILE_NAME + "\0", ""])
def test_name_that_tensorflow_does_not_give_is_refused(store, name):
    store.save("one", Program(name, b"code"))

    assert store.load("one") is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_file_that_others_may_write_is_not_used(root, store, caplog, mode):
    store.save("one", PROGRAM)
    file_of(root, "one").chmod(mode)

    assert store.load("one") is None
    assert "somebody else may have written it" in caplog.text
    assert file_of(root, "one").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_file_of_another_account_is_not_used(root, store):
    store.save("one", PROGRAM)
    os.chown(file_of(root, "one"), 12345, 12345)

    assert store.load("one") is None


def test_link_and_folder_in_the_place_of_a_program_are_not_used(root, store, tmp_path):
    store.save("one", PROGRAM)
    path = file_of(root, "one")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert store.load("one") is None

    path.unlink()
    path.mkdir()
    assert store.load("one") is None
    store.save("one", PROGRAM)  # Cannot replace the folder; says so in the log.
    assert store.load("one") is None


def test_removed_folder_is_made_again(root, store):
    store.save("one", PROGRAM)
    file_of(root, "one").unlink()
    (root / "kind").rmdir()

    assert store.load("one") is None
    store.save("one", PROGRAM)
    assert store.load("one") == PROGRAM


def test_full_disk_keeps_nothing_and_raises_nothing(root, store, caplog, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("worker.process.program_store.write_whole", fail)
    store.save("one", PROGRAM)

    assert store.load("one") is None
    assert "No space left on device" in caplog.text


def test_folder_opened_to_others_meanwhile_is_not_written(root, store, caplog):
    store.save("one", PROGRAM)
    (root / "kind").chmod(0o777)
    store.save("two", PROGRAM)

    assert not file_of(root, "two").exists()
    assert "must be closed to everybody else" in caplog.text


def test_least_recently_used_programs_go_first(root):
    # Of 1024 bytes each: two fit into 2500, of whatever kind.
    old, new = ProgramStore(root, "old", 2500), ProgramStore(root, "new", 2500)
    old.save("a", PROGRAM)
    os.utime(root / "old" / "a.program", (1000, 1000))
    new.save("b", PROGRAM)
    os.utime(root / "new" / "b.program", (2000, 2000))
    assert old.load("a") == PROGRAM  # Used now.
    new.save("c", PROGRAM)

    assert {path.name for path in root.glob("*/*")} == {"a.program", "c.program"}


def test_program_above_the_limit_is_not_kept(root):
    store = ProgramStore(root, "kind", 500)
    store.save("one", PROGRAM)

    assert list(root.glob("*/*")) == []


def test_what_a_killed_process_left_is_removed_in_time_and_strangers_stay(root, store):
    store.save("one", PROGRAM)
    left, fresh, stranger = (root / "kind" / name for name in (".a.unfinished", ".b.unfinished", "notes.txt"))
    for path in (left, fresh, stranger):
        path.write_bytes(b"x")
    os.utime(left, (1000, 1000))
    store.save("two", PROGRAM)

    assert not left.exists()
    assert fresh.exists()
    assert stranger.exists()


def test_readers_see_whole_programs_while_writers_replace_and_delete_them(root):
    programs = [Program(FILE_NAME, bytes([number]) * 20_000) for number in range(4)]
    # Two of them fit: every writer deletes what the others wrote.
    stores = [ProgramStore(root, "kind", 45_000) for _ in programs]
    seen, problems = set(), []

    def work(store, program):
        try:
            for _ in range(100):
                store.save(f"p{program.content[0] % 3}", program)
                loaded = store.load("p0")
                seen.add(loaded is None or loaded in programs)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(stores, programs, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert seen == {True}


def test_private_folder_must_be_ours_alone(tmp_path):
    make_private(tmp_path / "new" / "folder")
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "new" / "folder")

    for name, problem in (("open", "0700"), ("file", "File exists"), ("link", "no link")):
        with pytest.raises(NotPrivateError, match=problem):
            make_private(tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_private_folder_of_another_account_is_refused(tmp_path):
    make_private(tmp_path / "theirs")
    os.chown(tmp_path / "theirs", 12345, 12345)

    with pytest.raises(NotPrivateError, match="its owner is 12345"):
        make_private(tmp_path / "theirs")
