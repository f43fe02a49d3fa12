"""What commands print of hostile names and titles, to screens of any kind, and to readers that leave."""

import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT, Make, ask_all

TITLE = "[rec] Film [/cut] :smile: \x1b[31m\x07 (2000)"
SHOWN = r"[rec] Film [/cut] :smile: \x1b[31m\x07 (2000)"
NAME = "try [/1] [red]x[/red]"
LABEL = "average_4_1_epochs1"
N_USERS, N_ITEMS = 30, 40


@pytest.fixture(scope="module")
def sweep_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep [") / "x]" / "mine.toml"
    path.parent.mkdir()
    path.write_text(
        f'name = "{NAME}"\n[grid]\nmerge = ["average"]\nembedding_size = [4]\ndense_layers = [[1]]\n'
        "[training]\nmax_epochs = 1\n"
    )
    return path


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings in the layout of ml-100k, each item with a title that would do something to a screen."""
    folder = tmp_path_factory.mktemp("data [") / "x]" / "ml-100k"
    folder.mkdir(parents=True)
    pairs = [(user, item) for user in range(N_USERS) for item in range(N_ITEMS) if (user + item) % 2]
    ratings = [f"{user + 1}\t{item + 1}\t{1 + item % 5}\t978300760" for user, item in pairs]
    titles = [f"{item + 1}|{'x' * 5000 if item == 0 else TITLE}|01-Jan-2000|||0|1" for item in range(N_ITEMS)]
    for name, lines in (
        ("u.data", ratings),
        ("u.item", titles),
        ("u.genre", ["unknown|0", "Drama|1"]),
    ):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="latin-1")
    return folder.parent


@pytest.fixture(scope="module", autouse=True)
def swept(make: Make, sweep_file: Path, data_dir: Path) -> str:
    result = make("sweep", f"SWEEP={sweep_file}", "DATASET=ml-100k", f"DATA_DIR={data_dir}", "WORKERS=1")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


# All others are shown in the same way: tests/integration/test_queries.py shows every one.
QUERIES_WITH_TITLES = [
    path.stem for path in sorted((ROOT / "sql" / "queries").glob("*.sql")) if "title" in path.read_text()
]
QUESTIONS = [
    ["status"],
    ["leaderboard"],
    ["recommend", "USER=2"],
    ["queries"],
    *(["query", f"Q={name}"] for name in ("lineage", "origin_of_trial", "verdicts")),
    *(["query", f"Q={name}"] for name in QUERIES_WITH_TITLES),
    ["logs"],
    ["logs", f"TRIAL={LABEL}"],
    ["flower"],
    ["dashboard"],
]
CHANGES = [
    ["promote", f"TRIAL={LABEL}", "NOTE=because [/of] it"],
    ["rollback", "NOTE=because [/of] it"],
    ["prune", "KEEP=9"],
    ["cancel"],
    ["analyst"],
]


@pytest.fixture(scope="module")
def answers(make: Make, swept: str) -> dict[str, subprocess.CompletedProcess[str]]:
    return dict(zip(map(" ".join, QUESTIONS), ask_all(make, QUESTIONS), strict=True))


@pytest.mark.parametrize("command", [" ".join(one) for one in QUESTIONS])
def test_every_answer_shows_text_as_it_is(answers, command):
    assert_shown(answers[command])


@pytest.mark.parametrize("command", CHANGES, ids=" ".join)
def test_every_change_shows_text_as_it_is(make, command):
    result = make(*command)
    assert_shown(result)
    if "NOTE=because [/of] it" in command:
        assert "because [/of] it" in result.stdout


def assert_shown(result):
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not {"\x1b", "\x07"} & set(result.stdout)


def test_names_and_titles_are_whole(make, swept, answers):
    assert f"Sweep 1 {NAME}, 3 trials" in swept or f" {NAME}, 3 trials" in swept
    assert NAME in answers["status"].stdout
    assert NAME in answers["leaderboard"].stdout
    assert SHOWN in answers["recommend USER=2"].stdout
    assert SHOWN in make("query", "Q=top_of_user", "ARGS=user_id=2").stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_screen_that_is_not_utf_8_is_served(make, encoding):
    result = make("recommend", "USER=2", environment={"PYTHONIOENCODING": encoding})
    assert (result.returncode, result.stderr) == (0, "")
    assert SHOWN in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "query Q=never_recommended",
        "psql C='select * from items'",
        "logs",
        "verify",
    ],
)
def test_a_reader_that_leaves_is_no_error(make_environment, command):
    # `head -c 0` has gone before anything is printed; make's own words are on stderr.
    result = subprocess.run(
        ["bash", "-c", f"make --no-print-directory {command} | head -c 0; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        env=make_environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "make:" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("k=many", "k of query top_of_user must be a whole number from 0"),
        ("k='", "ARGS must be name=value pairs"),
        ("user", "ARGS must be name=value pairs"),
    ],
)
def test_a_bad_argument_is_named(make, arguments, message):
    result = make("query", "Q=top_of_user", f"ARGS={arguments}")
    assert result.returncode == 2
    assert message in result.stderr
    assert "Postgres" not in result.stderr


def test_rollback_names_the_data_set(make):
    # As often as something is promoted; then nothing is left to roll back.
    results = [make("rollback") for _ in range(4)]
    assert results[-1].returncode == 2
    assert "no trial of data set ml-100k is promoted" in results[-1].stderr


def test_a_failed_trial_that_left_the_file_no_longer_fails_the_sweep(make, data_dir, tmp_path):
    path = tmp_path / "shrinking.toml"
    text = (
        '[grid]\nmerge = ["dot"]\nembedding_size = [4]\ndense_layers = [[1]]\nlearning_rate = [0.001, 1e30]\n'
        '[training]\noptimizer = "sgd"\nmax_epochs = 1\n'
    )
    path.write_text(text)
    arguments = ("sweep", f"SWEEP={path}", "DATASET=ml-100k", f"DATA_DIR={data_dir}")
    first = make(*arguments)
    assert first.returncode == 2  # make's code for a command that failed.
    assert "`make sweep` runs the failed trials again" in first.stdout
    path.write_text(text.replace(", 1e30", ""))
    second = make(*arguments)
    assert second.returncode == 0, second.stdout
    assert "3 of 3 trials succeeded" in second.stdout
    assert "1 older trial that the sweep file no longer asks for stays as it is (1 failed:" in second.stdout
    assert "runs the failed trials again" not in second.stdout
