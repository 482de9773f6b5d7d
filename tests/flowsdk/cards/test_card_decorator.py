from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import flowsdk
from flowsdk.decorators import STEP_DECORATORS, parse_spec
from flowsdk.decorators.card import Card
from flowsdk.exception import DecoratorError
from tests.flowsdk.cards.conftest import IMPORTS, Carded, CardsOf
from tests.flowsdk.cards.outline import Outline
from tests.flowsdk.flows import import_flow
from tests.flowsdk.running import run

SIMPLE = """
class Simple(FlowSpec):
    alpha = Parameter("alpha", default=0.25)
    title = Parameter("title", default="<script>alert(1)</script>")
    colours = ["red", "green"]

    @card
    @step
    def start(self):
        '''Begin.'''
        self.rows = [1, 2, 3]
        self.evil = "</td><script>alert(2)</script>"
        self.next(self.body, foreach="colours")

    @card(type="blank", id="note")
    @card
    @step
    def body(self):
        current.card["note"].append(Markdown(f"**{self.input}**"))
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def test_a_default_card_tells_everything_about_its_task(carded: Carded, cards_of: CardsOf) -> None:
    ran = carded(SIMPLE, tags=("nightly",))
    (card,) = cards_of(ran, "start/0")
    html = card.get()
    text = Outline(html).text
    for fact in (
        f"Simple / {ran.run} / start / 0", "succeeded", "nightly", "alpha", "0.25", "evil", "[1, 2, 3]",
        "this task", "constant", "foreach colours", "self.rows = [1, 2, 3]", "<script>alert(1)</script>",
    ):  # fmt: skip
        assert fact in text, fact
    assert "<script>alert" not in html
    assert html.count("<script>") == 1
    assert card.type == "default"
    assert card.id is None


def test_each_split_has_cards_of_its_own(carded: Carded, cards_of: CardsOf) -> None:
    ran = carded(SIMPLE)
    for task, colour in ("0", "red"), ("1", "green"):
        note, full = cards_of(ran, f"body/{task}")
        assert (note.type, note.id, full.type, full.id) == ("blank", "note", "default", None)
        assert f"<strong>{colour}</strong>" in note.get()
        assert f"<strong>{colour}</strong>" not in full.get()
        assert f"{colour} ({int(task) + 1} of 2)" in Outline(full.get()).text
    assert cards_of(ran, "body/0", id="note")[0].hash != cards_of(ran, "body/1", id="note")[0].hash
    assert len(cards_of(ran, "join/0")) == 0


def test_components_come_first_on_a_default_card(carded: Carded, cards_of: CardsOf) -> None:
    ran = carded("""
        class F(FlowSpec):
            @card
            @step
            def start(self):
                current.card.append(Markdown("appended"), id="m")
                current.card.extend([Artifact(5), 7])
                current.card.components["m"].update("changed")
                self.next(self.end)

            @step
            def end(self):
                pass
    """)
    text = Outline(cards_of(ran, "start/0")[0].get()).text
    assert "appended" not in text.partition("Code of start")[0]
    assert text.index("changed") < text.index("Artifacts")


def test_the_card_of_a_failed_task_shows_the_error(carded: Carded, cards_of: CardsOf) -> None:
    ran = carded("""
        class F(FlowSpec):
            @card(type="mine", id="mine")
            @card
            @step
            def start(self):
                current.card.append(Markdown("so far"))
                raise ValueError("out of <paper>")
                self.next(self.end)

            @step
            def end(self):
                pass

        class Mine(MetaflowCard):
            type = "mine"
            def render(self, task):
                return str(task.data.x)
    """)
    assert not ran.succeeded
    (card,) = cards_of(ran, "start/0")
    text = Outline(card.get()).text
    for fact in ("failed", "Failed: builtins.ValueError", "out of <paper>", "so far"):
        assert fact in text, fact
    assert not [line for line in ran.printed["start/0"] if "[@card]" in line]


def test_a_card_of_ones_own_is_given_all_that_there_is(carded: Carded, cards_of: CardsOf) -> None:
    ran = carded("""
        class Mine(MetaflowCard):
            type = "mine"
            ALLOW_USER_COMPONENTS = True
            def __init__(self, options={}, components=[], graph=None, flow=None):
                self.seen = options, components, sorted(graph), flow.name
            def render(self, task):
                parent = task.parent_tasks[0].pathspec
                return f"<p>{self.seen} {task.data.x} {task.successful} {parent}</p>"

        class Old(MetaflowCard):
            type = "old"
            def __init__(self, options={}):
                self.options = options
            def render(self, task):
                return f"old {self.options} {task.id}"

        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end)

            @card(type="old")
            @card(type="mine", options={"a": 1})
            @step
            def end(self):
                self.x = 41
                current.card.append(Markdown("hi"))
    """)
    old, mine = cards_of(ran, "end/0")
    assert mine.get() == (
        "<p>({'a': 1}, ['<div class=\"markdown\"><p>hi</p></div>'], ['end', 'start'], 'F') 41 True "
        f"F/{ran.run}/start/0</p>"
    )
    assert old.get() == "old {} 0"


@pytest.mark.parametrize(
    ("card", "why"),
    [
        ('@card(type="mien")', "Did you mean 'mine'?"),
        ('@card(type="mine", options={"do": "raise"})', "ZeroDivisionError: division by zero"),
        ('@card(type="mine", options={"do": "none"})', "TypeError: render() returned None"),
        ('@card(type="mine", options={"do": "sleep"}, timeout=0.2)', "more than 0.2 seconds"),
    ],
)
@pytest.mark.parametrize("saved", [True, False])
def test_a_card_that_fails_fails_no_task(
    carded: Carded, cards_of: CardsOf, card: str, why: str, saved: bool
) -> None:
    ran = carded(f"""
        import time

        class Mine(MetaflowCard):
            type = "mine"
            def __init__(self, options={{}}, **others):
                self.do = options.get("do")
            def render(self, task):
                if self.do == "raise":
                    1 / 0
                while self.do == "sleep":
                    try:
                        time.sleep(30)
                    except Exception:
                        pass

        class F(FlowSpec):
            {card[:-1]}, save_errors={saved})
            @step
            def start(self):
                self.next(self.end)

            @step
            def end(self):
                pass
    """)
    assert ran.succeeded
    assert why in "\n".join(ran.printed["start/0"])
    cards = cards_of(ran, "start/0")
    assert len(cards) == saved
    if saved:
        assert why in Outline(cards[0].get()).text


def test_a_card_takes_no_time_from_the_timeout_of_its_step(carded: Carded) -> None:
    ran = carded("""
        import time

        class Slow(MetaflowCard):
            type = "slow"
            def render(self, task):
                time.sleep(1.2)
                return "slow"

        class F(FlowSpec):
            @card(type="slow")
            @timeout(seconds=1)
            @step
            def start(self):
                self.next(self.end)

            @step
            def end(self):
                pass
    """)
    assert ran.succeeded


def test_mistakes_with_current_card_are_told_and_fail_no_task(
    carded: Carded, cards_of: CardsOf
) -> None:
    ran = carded("""
        class F(FlowSpec):
            @card(id="left")
            @card(id="right")
            @step
            def start(self):
                current.card.append(Markdown("nowhere"))
                current.card["lfet"].append(Markdown("nowhere"))
                current.card["left"].components["gone"].update(1)
                current.card["left"] = [Markdown("replaced")]
                self.next(self.end)

            @step
            def end(self):
                assert "card" not in current
    """)
    assert ran.succeeded
    printed = "\n".join(ran.printed["start/0"])
    for words in ("several cards could be meant", "Did you mean 'left'?", "no component 'gone'"):
        assert words in printed
    assert "replaced" in cards_of(ran, "start/0", id="left")[0].get()


def test_pictures_and_tables_among_the_artifacts_are_shown(
    carded: Carded, cards_of: CardsOf
) -> None:
    ran = carded("""
        from tests.flowsdk.cards.test_image import PNG

        class F(FlowSpec):
            @card
            @step
            def start(self):
                self.dot = PNG
                self.next(self.end)

            @step
            def end(self):
                pass
    """)
    (picture,) = Outline(cards_of(ran, "start/0")[0].get()).all("img")
    assert picture["alt"] == "dot"


def test_secrets_are_in_no_card(carded: Carded, cards_of: CardsOf) -> None:
    ran = carded("""
        import os, time
        from flowsdk import secrets

        class Mine(MetaflowCard):
            type = "mine"
            ALLOW_USER_COMPONENTS = True
            def __init__(self, components=()):
                self.components = components
            def render(self, task):
                return Own.key + "".join(self.components)

        class Own(MetaflowCardComponent):
            def render(self):
                return f"<p>{Own.key}</p>"

        class F(FlowSpec):
            @card(type="mine", id="mine")
            @card(id="full", refresh_interval=0)
            @secrets(sources=[{"type": "inline", "options": {"env_vars": {"KEY": "hush_<&\\"_none"}}}])
            @step
            def start(self):
                key = Own.key = os.environ["KEY"]
                for part in (
                    Markdown(f"**a** {key}"), Artifact({key: key}), Artifact([key], compressed=False),
                    Table([[key]], [key]), Error(ValueError(key)), JSONViewer({key: key}),
                    YAMLViewer([key]), PythonCode(code_string=f"x = {key!r}"), ValueBox(key, key),
                    VegaChart({"title": key, "data": {"values": [{key: key}]}}), Own(),
                ):
                    current.card["full"].append(part)
                current.card["full"].refresh({"key": key})
                current.card["mine"].append(Own())
                time.sleep(0.1)
                self.next(self.end)

            @step
            def end(self):
                pass
    """)
    assert ran.succeeded, ran.failed
    mine, full = cards_of(ran, "start/0")
    assert mine.get() == "***<p>***</p>"
    assert full.get().count("***") >= 15
    # Underneath the escaping of HTML and JSON the value begins and ends the same.
    for text in (full.get(), json.dumps(full.get_data()), mine.get()):
        assert "hush_" not in text


def test_with_card_adds_one_to_every_step_without(tmp_path: Path, cards_of: CardsOf) -> None:
    flow = import_flow(tmp_path, IMPORTS + SIMPLE)
    added = parse_spec("card:id=added,timeout=10", STEP_DECORATORS)
    ran = run(flow, tmp_path, decorators=[added])
    assert [card.id for card in cards_of(ran, "end/0")] == ["added"]
    assert [card.id for card in cards_of(ran, "body/0")] == ["note", None]


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"id": "a-b"}, "letters, digits"),
        ({"id": 3}, "letters, digits"),
        ({"type": ""}, "name of a card type"),
        ({"options": [1]}, "expected a dict"),
        ({"options": {"a": object()}}, "JSON"),
        ({"timeout": 0}, "more than 0"),
        ({"refresh_interval": -1}, "0 or more"),
        ({"refresh": 1}, "refresh_interval"),
    ],
)
def test_bad_attributes_are_refused(attributes: dict[str, Any], why: str) -> None:
    with pytest.raises(DecoratorError, match=why):
        Card(**attributes)


def test_a_flow_without_cards_does_not_load_what_makes_them() -> None:
    code = (
        "import sys; from flowsdk import *; print([n for n in sys.modules if 'flowsdk.cards' in n])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(flowsdk.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_making_cards_loads_nothing_heavy_and_not_the_client() -> None:
    code = (
        "import sys, flowsdk.cards.writer, flowsdk.cards.builtin; from flowsdk.cards import Image, Table;"
        "print([n for n in ('boto3', 'numpy', 'pandas', 'matplotlib', 'flowsdk.client') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(flowsdk.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
