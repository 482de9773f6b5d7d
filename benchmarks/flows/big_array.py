"""500 MB of random numbers, saved in one step and summed in the next."""

import numpy as np
from SDK import FlowSpec, step


class BigArrayFlow(FlowSpec):
    @step
    def start(self):
        self.x = np.random.default_rng(0).random(62_500_000)
        self.next(self.end)

    @step
    def end(self):
        self.total = float(self.x.sum())


if __name__ == "__main__":
    BigArrayFlow()
