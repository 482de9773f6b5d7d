"""Waits for a key in the bucket, so that a test decides when a job ends."""

import time

import boto3

from flowsdk import FlowSpec, Parameter, resources, step


def wait_for(key: str) -> None:
    s3 = boto3.client("s3")
    while not s3.list_objects_v2(Bucket="flows", Prefix=f"switches/{key}")["KeyCount"]:
        time.sleep(0.2)


class WaitingFlow(FlowSpec):
    key = Parameter("key", required=True)

    @resources(memory=512)
    @step
    def start(self):
        print("waiting")
        wait_for(self.key)
        self.names = ["one", "two"]
        self.next(self.body, foreach="names")

    @resources(memory=512)
    @step
    def body(self):
        wait_for(f"{self.key}-{self.input}")
        self.own = self.input
        self.next(self.join)

    @resources(memory=512)
    @step
    def join(self, inputs):
        self.joined = [task.own for task in inputs]
        self.next(self.end)

    @resources(memory=512)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    WaitingFlow()
