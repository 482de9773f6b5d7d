"""The tutorials compute what their data says, run as a user runs them."""

from __future__ import annotations

import csv
import re
import shutil
import statistics
from pathlib import Path

import pytest

from tests.flowsdk.flows import ROOT, run_flow

TUTORIALS = ROOT / "flowsdk" / "tutorials"


@pytest.fixture
def tutorials(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TUTORIALS, tmp_path / "tutorials"))


@pytest.fixture(scope="module")
def movies() -> list[dict[str, str]]:
    with (TUTORIALS / "01-playlist" / "movies.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def best(movies: list[dict[str, str]], genre: str, count: int) -> list[str]:
    chosen = [movie for movie in movies if genre in movie["genres"].split("|")]
    chosen.sort(key=lambda movie: -float(movie["gross_millions"]))
    return [movie["title"] for movie in chosen[:count]]


def printed(folder: Path, file: str, *arguments: str) -> str:
    """What the steps of a run print, without time and task, with one datastore for all flows."""
    root = str(folder / "store")
    done = run_flow(folder / file, "--datastore-root", root, "run", *arguments)
    assert done.returncode == 0, done.stderr
    return re.sub(r"^\S+ \S+ \[\S+ \(pid \d+\)\] ", "", done.stdout, flags=re.MULTILINE)


def playlist(output: str) -> list[str]:
    return re.findall(r"^  \d+\. (.*)$", output, re.MULTILINE)


def test_hello_world_says_hello(tutorials: Path) -> None:
    assert "It said: Hello from a flow!" in printed(tutorials, "00-helloworld/helloworld.py")


@pytest.mark.parametrize(("genre", "count"), [("sci-fi", 5), ("comedy", 2)])
def test_the_playlist_is_of_the_best_films(
    tutorials: Path, movies: list[dict[str, str]], genre: str, count: int
) -> None:
    given = ["--genre", genre, "--recommendations", str(count)]
    output = printed(tutorials, "01-playlist/playlist.py", *given)
    assert playlist(output) == best(movies, genre, count)
    (bonus,) = re.findall(r"^And something else: (.*)$", output, re.MULTILINE)
    (film,) = [movie for movie in movies if movie["title"] == bonus]
    assert genre not in film["genres"].split("|")


def test_the_statistics_are_right_and_the_last_tutorial_uses_them(
    tutorials: Path, movies: list[dict[str, str]]
) -> None:
    table = printed(tutorials, "02-statistics/stats.py")
    drama = [float(m["gross_millions"]) for m in movies if "drama" in m["genres"].split("|")]
    (row,) = re.findall(r"^drama +(\d+) +(\S+) +(\S+)", table, re.MULTILINE)
    assert row == (str(len(drama)), f"{sum(drama):.1f}", f"{statistics.median(drama):.1f}")
    output = printed(tutorials, "03-playlist-redux/playlist.py", "--genre", "drama")
    assert playlist(output) == best(movies, "drama", 5)


def test_the_last_tutorial_says_what_it_needs(tutorials: Path) -> None:
    root = str(tutorials / "empty")
    path = tutorials / "03-playlist-redux" / "playlist.py"
    done = run_flow(path, "--datastore-root", root, "run")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "MovieStatsFlow" in done.stderr.splitlines()[-1]


def test_both_copies_of_the_films_are_the_same() -> None:
    one, other = (TUTORIALS / name / "movies.csv" for name in ("01-playlist", "02-statistics"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    "path", sorted(TUTORIALS.glob("*/*.py")), ids=lambda path: path.parent.name
)
def test_a_tutorial_imports_nothing_but_flowsdk_and_the_standard_library(path: Path) -> None:
    imported = re.findall(r"^(?:from|import) (\w+)", path.read_text("utf-8"), re.MULTILINE)
    assert set(imported) <= {"flowsdk", "csv", "random", "statistics"}
