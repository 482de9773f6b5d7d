from __future__ import annotations

from tests.flowsdk.cards.conftest import Carded, CardsOf


def test_a_card_is_shown_while_its_step_runs(carded: Carded, cards_of: CardsOf) -> None:
    ran = carded("""
        import time
        from flowsdk.cards import get_cards
        from flowsdk.client import Task

        def wait_for(text):
            for _ in range(400):
                cards = get_cards(current.pathspec)
                if cards and text in cards[0].get():
                    return cards[0]
                time.sleep(0.01)
            raise AssertionError(text)

        class F(FlowSpec):
            @card(refresh_interval=0.05)
            @step
            def start(self):
                bar = ProgressBar(max=10)
                current.card.append(bar, id="bar")
                assert not get_cards(current.pathspec)
                for done in range(1, 11):
                    bar.update(done)
                    current.card.refresh({"done": done})
                shown = wait_for("10 / 10")
                assert "status running" in shown.get()
                self.hash = shown.hash
                self.data = shown.get_data()
                self.next(self.end)

            @step
            def end(self):
                pass
    """)
    assert ran.succeeded, ran.failed
    (card,) = cards_of(ran, "start/0")
    assert "status succeeded" in card.get()
    assert card.hash == ran.value("start/0", "hash")
    seen = ran.value("start/0", "data")
    assert seen["user"]["done"] in range(1, 11)
    assert list(seen["components"]) == ["bar"]
    assert card.get_data()["render_seq"] == "final"


def test_refreshes_come_no_faster_than_the_interval(carded: Carded) -> None:
    ran = carded("""
        import time

        class F(FlowSpec):
            @card(type="counting", refresh_interval=60)
            @step
            def start(self):
                for _ in range(50):
                    current.card.get("counting")[0].refresh()
                    time.sleep(0.002)
                time.sleep(0.2)
                self.shown = Counting.shown
                self.next(self.end)

            @step
            def end(self):
                pass

        class Counting(MetaflowCard):
            type = "counting"
            RUNTIME_UPDATABLE = True
            shown = 0
            def render_runtime(self, task, data):
                assert not task.finished
                Counting.shown += 1
                return "running"
            def render(self, task):
                return "done"
    """)
    assert ran.succeeded, ran.failed
    assert ran.value("start/0", "shown") == 1


def test_a_refresh_that_fails_is_told_once(carded: Carded, cards_of: CardsOf) -> None:
    ran = carded("""
        import time

        class Fixed(MetaflowCard):
            type = "fixed"
            RUNTIME_UPDATABLE = True
            def render(self, task):
                return "done"

        class F(FlowSpec):
            @card(type="fixed", refresh_interval=0)
            @step
            def start(self):
                for _ in range(20):
                    current.card.get("fixed")[0].refresh()
                    time.sleep(0.01)
                self.next(self.end)

            @step
            def end(self):
                pass
    """)
    assert ran.succeeded
    told = [line for line in ran.printed["start/0"] if "could not be refreshed" in line]
    assert len(told) == 1
    assert "has no render_runtime()" in told[0]
    assert cards_of(ran, "start/0")[0].get() == "done"
