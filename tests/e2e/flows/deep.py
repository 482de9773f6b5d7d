"""Foreaches in a foreach, switches and loops inside of them, a foreach over nothing, an array."""

from flowsdk import FlowSpec, batch, catch, current, retry, step


class DeepFlow(FlowSpec):
    @step
    def start(self):
        self.groups = {"one": 1, "two": 2}
        self.next(self.group, foreach="groups")

    @step
    def group(self):
        self.word, self.size = self.input
        self.kind = "odd" if self.size % 2 else "even"
        self.next({"odd": self.odd, "even": self.even}, condition="kind")

    @step
    def odd(self):
        self.sign = 1
        self.next(self.fan)

    @step
    def even(self):
        self.sign = -1
        self.next(self.fan)

    @step
    def fan(self):
        self.members = list(range(self.size + 1))
        self.next(self.member, foreach="members")

    @step
    def member(self):
        self.parts = [self.input] * self.input
        self.next(self.part, foreach="parts", allow_empty=True)

    @retry(times=1, minutes_between_retries=0)
    @step
    def part(self):
        if self.input == 2 and self.index == 1 and current.retry_count == 0:
            raise ValueError("only this one fails, and only once")
        self.rounds = 0
        self.next(self.spin)

    @step
    def spin(self):
        self.rounds += 1
        self.again = self.rounds < self.input
        self.next({True: self.spin, False: self.spun}, condition="again")

    @step
    def spun(self):
        self.place = (current.task_id, [level[:2] for level in self.foreach_stack()])
        self.next(self.parts_join)

    @step
    def parts_join(self, inputs):
        self.rounds = [branch.rounds for branch in inputs]
        self.places = [branch.place for branch in inputs]
        self.at = (self.index, self.input)
        self.next(self.members_join)

    @step
    def members_join(self, inputs):
        self.rounds = [branch.rounds for branch in inputs]
        self.places = [branch.places for branch in inputs]
        self.next(self.groups_join)

    @step
    def groups_join(self, inputs):
        self.result = {
            "rounds": [branch.rounds for branch in inputs],
            "places": [branch.places for branch in inputs],
        }
        self.next(self.spell)

    @step
    def spell(self):
        self.letters = "abcde"
        self.next(self.letter, foreach="letters")

    @batch(array=True)
    @catch(var="problem")
    @step
    def letter(self):
        if self.input == "c":
            raise ValueError("not this letter")
        self.upper = self.input.upper()
        self.next(self.letters_join)

    @step
    def letters_join(self, inputs):
        self.uppers = [getattr(branch, "upper", None) for branch in inputs]
        self.problems = [branch.problem.type if branch.problem else None for branch in inputs]
        self.merge_artifacts(inputs, include=["result"])
        self.next(self.end)

    @step
    def end(self):
        print(self.result, self.uppers, self.problems)


if __name__ == "__main__":
    DeepFlow()
