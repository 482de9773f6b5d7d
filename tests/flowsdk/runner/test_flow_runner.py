from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowsdk import Runner
from flowsdk.exception import CommandFailed, UsageError


def until(check: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.02)
    return found


def temporary_folders(folder: Path) -> list[Path]:
    return list(folder.glob("flowsdk-runner-*"))


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_a_run_with_values_of_every_kind(
    flow_file: Path, temp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "$(touch PWNED) `x` \"quoted\" 'too' \\ \n-z"
    doc = {"a": [1, {"b": None}], "text": text}
    with Runner("../flows/small_flow.py").run(
        some_numbers=[3, 4], doc=doc, text=text, fail=False, tags=["x", "y z"], max_workers=1
    ) as running:
        assert (running.status, running.returncode) == ("successful", 0)
        run = running.run
        assert run.successful
        assert run.user_tags == {"x", "y z"}
        assert (run.data.total, run.data.doc, run.data.text) == (7, doc, text)
        assert len(temporary_folders(temp)) == 1
    assert not temporary_folders(temp)
    assert not Path("PWNED").exists()
    # What it printed is shown, and can be read later.
    shown = capsys.readouterr()
    assert shown.out == running.stdout
    assert "hello neighbour" in shown.out
    assert "executing SmallFlow for user:tester" in shown.err
    assert shown.err == running.stderr


def test_a_run_that_fails_says_so_and_raises_nothing(
    flow_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Runner(flow_file, show_output=False) as runner:
        running = runner.run(fail=True)
        assert (running.status, running.returncode) == ("failed", 1)
        assert running.run["end"].task is not None
        assert not running.run.successful
        assert "ValueError: as asked" in running.stderr
        assert repr(running) == f"ExecutingRun('{running.run.pathspec}', failed)"
    assert capsys.readouterr() == ("", "")


def test_a_run_is_resumed(flow_file: Path) -> None:
    with Runner(flow_file, show_output=False) as runner:
        failed = runner.run(fail=True).run
        flow_file.write_text(flow_file.read_text().replace("if self.fail:", "if False:"))
        resumed = runner.resume(origin_run_id=failed.id)
        assert resumed.status == "successful"
        assert resumed.run.data.total == 3
        assert resumed.run.origin_pathspec == failed.pathspec
        again = runner.resume(step_to_rerun="end", tags=["again"])
        assert again.run.user_tags == {"again"}


def test_what_the_command_does_not_know_is_told_with_near_misses(flow_file: Path) -> None:
    runner = Runner(flow_file, show_output=False)
    with pytest.raises(CommandFailed) as caught:
        runner.run(some_numbrs=[1], max_worker=3)
    assert caught.value.returncode == 2
    assert "Did you mean 'some_numbers'?" in str(caught.value)
    assert "Did you mean 'max_workers'?" in str(caught.value)
    with pytest.raises(CommandFailed, match="Parameter 'some-numbers': found 'x', expected int"):
        runner.run(some_numbers=["x"])
    with pytest.raises(CommandFailed, match=r"before the command.*Did you mean 'quiet'"):
        Runner(flow_file, show_output=False, quit=True).run()
    with pytest.raises(UsageError, match="of type object, expected text, a number"):
        runner.run(doc=[object()])


def test_files_that_are_not_there(flow_file: Path) -> None:
    with pytest.raises(UsageError, match="small_flw.py: not found. Did you mean 'small_flow.py'"):
        Runner(flow_file.with_name("small_flw.py"))
    with pytest.raises(UsageError, match="Working directory .*nowhere: not found"):
        Runner(flow_file, cwd="nowhere")


def test_a_file_that_starts_no_flow(flow_file: Path) -> None:
    flow_file.write_text(flow_file.read_text().partition("if __name__")[0])
    with pytest.raises(CommandFailed, match="found no flow that it starts"):
        Runner(flow_file, show_output=False).run()


def test_environment_folder_and_profile(flow_file: Path, tmp_path: Path) -> None:
    source = flow_file.read_text()
    asks = "self.seen = [os.environ.get('MORE'), os.environ.get('METAFLOW_PROFILE'), os.getcwd()]"
    source = source.replace("import time", "import os, time").replace("        if self.fail", f"        {asks}\n        if self.fail")  # fmt: skip
    flow_file.write_text(source)
    with Runner(
        flow_file, show_output=False, env={"MORE": "yes"}, profile="p", cwd=tmp_path
    ).run() as running:
        assert running.run.data.seen == ["yes", "p", str(tmp_path)]
    assert (tmp_path / ".flowsdk").is_dir()


def test_values_that_only_numpy_knows(flow_file: Path) -> None:
    numpy = pytest.importorskip("numpy")
    with Runner(flow_file, show_output=False) as runner:
        running = runner.run(some_numbers=numpy.arange(4), doc={"x": numpy.float64(0.5)})
        assert (running.run.data.total, running.run.data.doc) == (6, {"x": 0.5})


def test_runs_at_the_same_time_and_their_logs(flow_file: Path, tmp_path: Path) -> None:
    async def story() -> None:
        async with Runner(flow_file) as runner:
            go = tmp_path / "go"
            first = await runner.async_run(wait_for=str(go))
            second = await runner.async_run(wait_for=str(go), some_numbers=[5])
            assert first.status == second.status == "running"
            assert first.returncode is None
            assert first.run != second.run
            assert first.run.status == "running"
            lines = []
            async for position, line in first.stream_log("stdout"):
                lines.append((position, line))
                if "hello" in line:
                    go.touch()
            assert lines[-1][1].endswith("Done!")
            assert [line for _, line in lines] == first.stdout.splitlines()
            middle = lines[1][0]
            rest = [pair async for pair in first.stream_log("stdout", middle)]
            assert rest == lines[2:]
            assert await second.wait() is second
            assert (first.status, second.status) == ("successful", "successful")
            assert second.run.data.total == 5

    asyncio.run(story())


def test_waiting_shows_a_stream_and_ends_what_takes_too_long(
    flow_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        running = await Runner(flow_file).async_run(wait_for=str(tmp_path / "never"))
        await running.wait(timeout=0.5, stream="stdout")
        assert running.status == "timeout"
        assert running.returncode
        with pytest.raises(UsageError, match="Stream: found 'out'"):
            await running.wait(stream="out")

    asyncio.run(story())
    out, err = capsys.readouterr()
    assert "hello neighbour" in out
    assert err == ""


def test_leaving_the_context_ends_the_run_and_its_tasks(flow_file: Path, tmp_path: Path) -> None:
    async def story() -> int:
        async with await Runner(flow_file).async_run(wait_for=str(tmp_path / "never")) as running:
            async for _, line in running.stream_log("stdout"):
                if "hello" in line:
                    return int(line.partition("(pid ")[2].partition(")")[0])
        raise AssertionError

    task = asyncio.run(story())
    with pytest.raises(ProcessLookupError):
        os.kill(task, 0)


def test_nothing_is_left_when_the_runner_is_let_go(flow_file: Path, temp: Path) -> None:
    running = Runner(flow_file, show_output=False).run()
    gc.collect()
    assert "Done!" in running.stdout
    del running
    gc.collect()
    assert not temporary_folders(temp)


def test_a_run_that_does_not_begin_is_given_up(flow_file: Path) -> None:
    flow_file.write_text("import time\ntime.sleep(60)\n" + flow_file.read_text())
    runner = Runner(flow_file, show_output=False, file_read_timeout=0.3)
    with pytest.raises(CommandFailed, match=r"started nothing after 0\.3 seconds"):
        runner.run()


def test_it_works_where_an_event_loop_is_running(flow_file: Path) -> None:
    async def cell() -> int:
        with Runner(flow_file, show_output=False).run() as running:
            return int(running.run.data.total)

    assert asyncio.run(cell()) == 3


def test_ctrl_c_ends_the_run(flow_file: Path, tmp_path: Path) -> None:
    script = (
        f"from flowsdk import Runner\n"
        f"Runner({str(flow_file)!r}).run(wait_for={str(tmp_path / 'never')!r})\n"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        line = next(line for line in process.stdout if "hello" in line)
        task = int(line.partition("(pid ")[2].partition(")")[0])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode not in (0, None)
    with pytest.raises(ProcessLookupError):
        os.kill(task, 0)
    assert not temporary_folders(tmp_path)


def test_a_task_is_spun_and_read(flow_file: Path, tmp_path: Path) -> None:
    module = tmp_path / "overrides.py"
    module.write_text("ARTIFACTS = {'numbers': [10, 20]}\n")
    with Runner(flow_file, show_output=False) as runner:
        past = runner.run(some_numbers=[1, 2]).run
        spun = runner.spin("end", artifacts_module=module)
        assert (spun.status, spun.task.data.total) == ("successful", 30)
        assert spun.task.path_components[2:] == ["end", "0"]
        assert spun.task.path_components[1] != past.id
        assert repr(spun) == "ExecutingTask(end/0, successful)"
        with pytest.raises(CommandFailed, match="has no task of step 'ende'"):
            runner.spin(f"{past.id}/ende")

        async def story() -> int:
            again = await runner.async_spin(f"{past.pathspec}/end")
            await again.wait()
            return int(again.task.data.total)

        assert asyncio.run(story()) == 3
    assert past["end"].task is not None
    assert past["end"].task.data.total == 3
