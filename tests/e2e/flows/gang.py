"""Gangs everywhere: as many nodes as a parameter says, in a foreach, after a switch, one of a single
node. Their nodes talk to each other, so that they end only if all run at once and know the main one."""

import os
import socket
import time

from flowsdk import (
    FlowSpec,
    Parameter,
    catch,
    current,
    parallel,
    pytorch_parallel,
    resources,
    retry,
    step,
    timeout,
)


def exchange(place):
    """Every node says its name to the main node, and is told all names."""
    port = int(os.environ["MASTER_PORT"])
    own = str(place.node_index)
    if place.node_index:
        deadline = time.monotonic() + 120
        while True:
            try:
                with socket.create_connection((place.main_ip, port), timeout=10) as connection:
                    connection.sendall(own.encode())
                    return connection.recv(100).decode()
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
    names, connections = [own], []
    with socket.create_server((place.main_ip, port)) as server:
        while len(names) < place.num_nodes:
            connection, _ = server.accept()
            connections.append(connection)
            names.append(connection.recv(100).decode())
        for connection in connections:
            connection.sendall(" ".join(sorted(names)).encode())
            connection.close()
    return " ".join(sorted(names))


class GangFlow(FlowSpec):
    nodes = Parameter("nodes", default=3)

    @resources(memory=512)
    @step
    def start(self):
        self.next(self.train, num_parallel=self.nodes)

    @resources(memory=512)
    @retry(times=1, minutes_between_retries=0)
    @pytorch_parallel
    @step
    def train(self):
        """The main node waits for another that has failed: it cannot know, and has to be stopped."""
        if current.retry_count == 0 and current.parallel.node_index == 1:
            raise ValueError("one of them")
        self.names = exchange(current.parallel)
        self.retries = current.retry_count
        self.next(self.trained)

    @resources(memory=512)
    @step
    def trained(self, inputs):
        self.names = [node.names for node in inputs]
        self.retries = [node.retries for node in inputs]
        self.next(self.split)

    @resources(memory=512)
    @step
    def split(self):
        self.sizes = [1, 2]
        self.next(self.each, foreach="sizes")

    @resources(memory=512)
    @step
    def each(self):
        self.size = self.input
        self.next(self.pair, num_parallel=self.size)

    @resources(memory=512)
    @pytorch_parallel
    @step
    def pair(self):
        place = current.parallel
        self.place = (place.node_index, place.num_nodes, place.control_task_id)
        self.names = exchange(place)
        self.next(self.paired)

    @resources(memory=512)
    @step
    def paired(self, inputs):
        self.places = [(node.place, node.names) for node in inputs]
        self.next(self.together)

    @resources(memory=512)
    @step
    def together(self, inputs):
        self.places = [size.places for size in inputs]
        self.next(self.choose)

    @resources(memory=512)
    @step
    def choose(self):
        self.way = "gang"
        self.next({"gang": self.chosen, "none": self.end}, condition="way")

    @resources(memory=512)
    @step
    def chosen(self):
        self.next(self.careful, num_parallel=2)

    @resources(memory=512)
    @catch(var="problem", print_exception=False)
    @timeout(minutes=5)
    @parallel
    @step
    def careful(self):
        if current.parallel.node_index == 1:
            raise KeyError("caught")
        self.next(self.done)

    @resources(memory=512)
    @step
    def done(self, inputs):
        self.problems = [node.problem and node.problem.type for node in inputs]
        self.next(self.end)

    @resources(memory=512)
    @step
    def end(self):
        pass


class SleepingGangFlow(FlowSpec):
    @resources(memory=512)
    @step
    def start(self):
        self.next(self.sleep, num_parallel=2)

    @resources(memory=512)
    @parallel
    @step
    def sleep(self):
        time.sleep(600)
        self.next(self.join)

    @resources(memory=512)
    @step
    def join(self, inputs):
        self.next(self.end)

    @resources(memory=512)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    GangFlow()
