"""Two million dicts, of which the next step asks no more than how many there are."""

import random

from SDK import FlowSpec, step

WORDS = ["lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed", "do"]


class ManyRowsFlow(FlowSpec):
    @step
    def start(self):
        words = random.Random(0).choices(WORDS, k=10_000)
        self.rows = [
            {
                "id": i,
                "name": f"user {i * 7919 % 1_000_003}",
                "score": i * 0.37,
                "place": [i % 181 - 90.5, i % 361 - 180.5],
                "text": " ".join(words[i % 9_900 : i % 9_900 + 80]),
            }
            for i in range(2_000_000)
        ]
        self.next(self.end)

    @step
    def end(self):
        self.count = len(self.rows)


if __name__ == "__main__":
    ManyRowsFlow()
