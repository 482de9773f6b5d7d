"""Prints for a while, so that somebody can watch."""

import time

from flowsdk import FlowSpec, step


class ChattyFlow(FlowSpec):
    @step
    def start(self):
        for number in range(30):
            print(f"line {number} of 30")
            time.sleep(1)
        self.next(self.end)

    @step
    def end(self):
        print("the end")


if __name__ == "__main__":
    ChattyFlow()
