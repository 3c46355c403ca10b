"""Who counts as dead: never somebody whose connection was lost for a moment."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from channel_adapter.liveness import SURE_SECONDS, FileLiveness, PostgresLiveness


class Watch:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def pair(postgres_url: str, watch: Watch) -> Iterator[tuple[PostgresLiveness, PostgresLiveness]]:
    """Two that live, `a` and `b`."""
    made = PostgresLiveness(postgres_url, "a", watch), PostgresLiveness(postgres_url, "b", watch)
    yield made
    for each in made:
        each.release()


def is_dead(judge: PostgresLiveness, executor: str) -> bool:
    with judge.proof_of_death(executor) as dead:
        return dead


def cut(judged: PostgresLiveness, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (judged._connection.info.backend_pid,))


def test_who_is_back_in_time_lives(
    pair: tuple[PostgresLiveness, PostgresLiveness], postgres_url: str, watch: Watch
) -> None:
    a, b = pair
    cut(a, postgres_url)
    assert not is_dead(b, "a")
    watch.now += SURE_SECONDS / 2
    a.renew()
    watch.now += SURE_SECONDS
    assert not is_dead(b, "a")
    cut(a, postgres_url)
    watch.now += SURE_SECONDS
    assert not is_dead(b, "a")  # an absence of long ago proves nothing
    watch.now += SURE_SECONDS
    assert is_dead(b, "a")


def test_who_comes_back_while_it_is_judged_has_its_lock_again(
    pair: tuple[PostgresLiveness, PostgresLiveness], postgres_url: str, watch: Watch
) -> None:
    a, b = pair
    cut(a, postgres_url)
    is_dead(b, "a")
    watch.now += SURE_SECONDS
    with b.proof_of_death("a") as dead:
        assert dead
        a.renew()
    a.renew()
    watch.now += 2 * SURE_SECONDS
    assert not is_dead(b, "a")
    watch.now += 2 * SURE_SECONDS
    assert not is_dead(b, "a")


def test_a_server_that_cannot_be_reached_is_told_without_its_password() -> None:
    with pytest.raises(OSError, match="refused") as lost:
        PostgresLiveness("postgresql://u:hidden@127.0.0.1:1/d", "a")
    assert "hidden" not in str(lost.value)


def test_a_file_is_locked_until_it_is_let_go_of(tmp_path: Path) -> None:
    a, b = FileLiveness(tmp_path / "running", "a"), FileLiveness(tmp_path / "running", "b")
    with b.proof_of_death("a") as dead:
        assert not dead
    a.release()
    with b.proof_of_death("a") as dead:
        assert dead
    b.release()


def test_failed_start_leaves_no_connection_open(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE ROLE without_locks LOGIN")
        admin.execute("REVOKE EXECUTE ON FUNCTION pg_try_advisory_lock(bigint) FROM PUBLIC")
        with pytest.raises(ConnectionError, match="permission denied") as refused:
            PostgresLiveness(make_conninfo(postgres_url, user="without_locks"), "a")
        end = time.monotonic() + 20  # the server notices a closed connection a moment later
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'without_locks'"
        while admin.execute(query).fetchone() != (0,) and time.monotonic() < end:
            time.sleep(0.02)
        assert admin.execute(query).fetchone() == (0,)
        assert refused.value.__traceback__ is not None  # which keeps alive whatever its frames refer to
        admin.execute("DROP ROLE without_locks")


def test_other_processes_do_not_count_as_dead_where_files_cannot_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channel_adapter.liveness.fcntl", None)  # as on Windows
    a, b = FileLiveness(tmp_path / "running", "a"), FileLiveness(tmp_path / "running", "b")
    with b.proof_of_death("a") as dead:
        assert not dead
    a.release()
    b.release()


def test_the_folder_goes_with_the_last_executor(tmp_path: Path) -> None:
    folder = tmp_path / "running"
    a, b = FileLiveness(folder, "a"), FileLiveness(folder, "b")
    (folder / "killed").touch()  # nothing holds its lock
    a.release()
    assert [path.name for path in folder.iterdir()] == ["b"]
    b.release()
    assert not folder.exists()
    a.release()
    again = FileLiveness(folder, "c")
    assert folder.is_dir()
    again.release()
    assert not folder.exists()


def test_executors_that_start_and_end_at_once_keep_their_locks(tmp_path: Path) -> None:
    folder = tmp_path / "running"

    def live(name: str) -> int:
        seen_dead = 0
        for number in range(100):
            executor = f"{name}{number}"
            alive = FileLiveness(folder, executor)
            with alive.proof_of_death(executor) as dead:
                seen_dead += dead
            alive.release()
        return seen_dead

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(live, "abcd")) == [0] * 4
    assert not folder.exists()
