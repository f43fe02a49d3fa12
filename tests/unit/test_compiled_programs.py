"""Programs outlive their process: found whatever was done before, and the numbers are those of a compile."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from worker.process import compiled_programs
from worker.process.compiled_programs import KeptPrograms, program_kind
from worker.process.environment import worker_variables
from worker.process.private_folder import NotPrivateError, make_private
from worker.process.program_store import Program, ProgramStore

ROOT = Path(__file__).parents[2]
FILE_NAME = "xla_compile_cache__1__2__XLA_CPU_JIT.pb"
LINEAR, RELU, SILU = ("concatenate", "linear"), ("multiply", "relu"), ("dot", "silu")


def train(cache_dir, *architectures, n_tensors=0, hash_seed=0):
    """Digests of the numbers and the log of a fresh process."""
    arguments = [str(cache_dir or ""), json.dumps(architectures), str(n_tensors)]
    # Where a test before this one has run a worker's command in this process, it keeps programs itself.
    environment = {name: value for name, value in os.environ.items() if name != "TF_XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.train_and_keep", *arguments],
        cwd=ROOT,
        env=environment | worker_variables() | {"PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def program_files(cache_dir):
    """Every file with what tells that it was written again."""
    return {path: path.stat().st_ino for path in (cache_dir / "compiled").glob("*/*")}


@pytest.fixture(scope="module")
def first_process(tmp_path_factory):
    """Numbers, and where a process has kept the programs by which it got them."""
    cache_dir = tmp_path_factory.mktemp("cache")
    with ThreadPoolExecutor(2) as pool:
        compiled = pool.submit(train, None, LINEAR, RELU, SILU)
        kept, _ = train(cache_dir, LINEAR, RELU, SILU, hash_seed=1)
    assert kept == compiled.result()[0]
    return kept, cache_dir


@pytest.fixture
def first_programs(first_process, tmp_path):
    """A copy of the programs, with the numbers."""
    shutil.copytree(first_process[1], tmp_path, dirs_exist_ok=True)
    return first_process[0]


def test_second_process_compiles_nothing_and_trains_the_same_numbers(first_programs, tmp_path):
    files = program_files(tmp_path)
    # Whatever the process did before: other numbers of tensors, another order, another seed of hashes.
    loaded, log = train(tmp_path, SILU, RELU, LINEAR, n_tensors=1234, hash_seed=2)

    assert loaded == first_programs
    # An epoch each, and the scores of the two with an activation.
    assert len(files) == 5
    assert program_files(tmp_path) == files
    # Neither ours nor TensorFlow's: it calls what it loads a danger.
    assert log == ""


def test_program_that_tensorflow_refuses_is_compiled_again(first_programs, tmp_path):
    (kind,) = (tmp_path / "compiled").iterdir()
    store = ProgramStore(tmp_path / "compiled", kind.name)
    names = {path.stem for path in kind.iterdir()}
    for name in names:
        program = store.load(name)
        # Whole for us, and no program for TensorFlow.
        store.save(name, Program(program.file_name, program.content[:1000] + b"\xff" * 5000))
    again, log = train(tmp_path, RELU)

    relu = {"multiply relu": first_programs["multiply relu"]}
    assert again == relu
    assert log.count("a kept program is not taken, it is compiled again") == 2
    left = {path.stem for path in program_files(tmp_path)}
    assert left < names
    assert len(left) == len(names) - 2
    # The next process keeps them again.
    assert train(tmp_path, RELU)[0] == relu
    assert {path.stem for path in program_files(tmp_path)} == names


def test_processes_that_compile_the_same_at_once_do_not_disturb_each_other(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: train(tmp_path, RELU), range(2))

    assert first[0] == second[0]
    assert "WARNING:worker" not in first[1] + second[1]
    assert len(program_files(tmp_path)) == 2


def test_folder_that_others_may_open_is_not_used_and_the_log_says_so(tmp_path, caplog, monkeypatch):
    (tmp_path / "compiled").mkdir()
    (tmp_path / "compiled").chmod(0o755)
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    monkeypatch.setattr(compiled_programs, "_kept", None)
    compiled_programs.keep_compiled_programs(tmp_path)

    assert "compiled programs are not kept" in caplog.text
    assert "must be closed to everybody else (mode 0700); its mode is 0755" in caplog.text
    assert compiled_programs.kept_programs() is None
    assert os.environ["TF_XLA_FLAGS"] == ""


class RefusedError(Exception):
    """What TensorFlow raises."""


@pytest.fixture
def shown(tmp_path):
    return tmp_path / "shown"


@pytest.fixture
def kept(tmp_path, shown):
    make_private(tmp_path / "compiled")
    return KeptPrograms(ProgramStore(tmp_path / "compiled", "kind"), shown)


def compile_into(shown):
    """As TensorFlow does: makes the file unless it is there."""
    if not (shown / FILE_NAME).exists():
        (shown / FILE_NAME).write_bytes(b"code")
        return "compiled"
    return "loaded"


def test_program_is_shown_to_tensorflow_only_while_it_compiles(kept, shown):
    assert kept.compile("name", lambda _: compile_into(shown), RefusedError) == "compiled"
    assert not shown.exists()
    assert kept.compile("name", lambda _: compile_into(shown), RefusedError) == "loaded"
    assert kept.compile("other", lambda _: compile_into(shown), RefusedError) == "compiled"
    assert not shown.exists()


def test_shown_folder_is_removed_when_the_call_fails(kept, shown):
    with pytest.raises(ZeroDivisionError):
        kept.compile("name", lambda _: 1 / 0, RefusedError)

    assert not shown.exists()


def test_program_of_other_code_under_the_same_name_replaces_the_kept_one(kept, shown):
    kept.compile("name", lambda _: compile_into(shown), RefusedError)
    other = FILE_NAME.replace("2", "3")
    kept.compile("name", lambda _: (shown / other).write_bytes(b"new"), RefusedError)

    seen = []
    kept.compile("name", lambda _: seen.extend(path.name for path in shown.iterdir()), RefusedError)
    assert seen == [other]


def test_call_that_fails_twice_raises(kept, shown):
    calls = []

    def fail(name):
        calls.append((name, [path.name for path in shown.iterdir()]))
        raise RefusedError("no memory")

    kept.compile("name", lambda _: compile_into(shown), RefusedError)
    with pytest.raises(RefusedError, match="no memory"):
        kept.compile("name", fail, RefusedError)
    assert calls == [("name", [FILE_NAME]), ("name again", [])]


def test_call_that_fails_without_a_kept_program_is_not_repeated(kept):
    calls = []

    def fail(name):
        calls.append(name)
        raise RefusedError("no memory")

    with pytest.raises(RefusedError):
        kept.compile("name", fail, RefusedError)
    assert calls == ["name"]


def test_program_that_cannot_be_shown_is_compiled(kept, shown, caplog, monkeypatch):
    kept.compile("name", lambda _: compile_into(shown), RefusedError)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("worker.process.compiled_programs.write_whole", fail)
    assert kept.compile("name", lambda _: compile_into(shown), RefusedError) == "compiled"
    assert "No space left on device" in caplog.text


def test_shown_folder_removed_by_somebody_is_no_fault(kept, shown):
    kept.compile("name", lambda _: shown.rmdir(), RefusedError)

    assert kept.compile("name", lambda _: compile_into(shown), RefusedError) == "compiled"


def test_kind_names_tensorflow_and_tells_processors_and_flags_apart(tmp_path, monkeypatch):
    def kind(text):
        (tmp_path / "cpuinfo").write_text(text)
        return program_kind(tmp_path / "cpuinfo")

    one = "processor : 0\nmodel name : Fast 1\nflags : sse avx\ncpu MHz : 2000.1\n\n"
    assert kind(one).startswith("tensorflow-2.")
    # Neither the number of cores nor their present speed matters.
    assert kind(one) == kind(one + one.replace(": 0", ": 1").replace("2000.1", "1800.7"))
    assert kind(one) != kind(one.replace("sse avx", "sse avx avx512f"))
    assert kind(one) != kind(one.replace("Fast 1", "Fast 2"))
    plain = kind(one)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX2")
    assert kind(one) != plain


@pytest.mark.parametrize("text", [None, "", "processor : 0\n"])
def test_unknown_processor_keeps_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    with pytest.raises(NotPrivateError, match="the processor is not known"):
        program_kind(tmp_path / "cpuinfo")


def test_shown_folder_is_in_the_first_place_that_has_room(tmp_path, monkeypatch):
    full, roomy = tmp_path / "full", tmp_path / "roomy"
    full.mkdir()
    roomy.mkdir()
    usage = compiled_programs.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        "worker.process.compiled_programs.shutil.disk_usage",
        lambda path: usage._replace(free=0 if full in path.parents else 2**30),
    )
    missing = tmp_path / "file" / "missing"
    (tmp_path / "file").write_text("")
    chosen = compiled_programs._shown_folder((missing, full, roomy))

    assert chosen.parent == roomy / f"recsweep-{os.geteuid()}"
    with pytest.raises(NotPrivateError, match="is full"):
        compiled_programs._shown_folder((full,))


def test_what_killed_processes_left_is_removed(tmp_path):
    home = tmp_path / f"recsweep-{os.geteuid()}"
    make_private(home)
    (home / "999999999-dead").mkdir()
    (home / f"{os.getpid()}-alive").mkdir()
    compiled_programs._shown_folder((tmp_path,))

    assert [path.name for path in home.iterdir()] == [f"{os.getpid()}-alive"]
