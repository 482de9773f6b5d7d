"""Fails until a key in the bucket says otherwise, so that a test decides when it succeeds."""

import os

import boto3

from flowsdk import FlowSpec, Parameter, current, resources, retry, step


def allowed(key: str) -> bool:
    listed = boto3.client("s3").list_objects_v2(Bucket="flows", Prefix=f"switches/{key}")
    return listed["KeyCount"] > 0


class FailingFlow(FlowSpec):
    key = Parameter("key", required=True)

    @resources(memory=512)
    @step
    def start(self):
        self.number = 1
        self.next(self.risky)

    @resources(memory=512)
    @retry(times=2, minutes_between_retries=0)
    @step
    def risky(self):
        self.half_done = os.getpid()
        print(f"attempt {current.retry_count}")
        self.check()
        self.number += 1
        self.next(self.end)

    def check(self):
        if not allowed(self.key):
            raise ValueError(f"not yet: {self.key}")

    @resources(memory=512)
    @step
    def end(self):
        self.result = self.number * 10


if __name__ == "__main__":
    FailingFlow()
