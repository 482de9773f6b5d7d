"""Which classifier reads handwritten digits best?"""

from flowsdk import FlowSpec, Parameter, resources, retry, schedule, step


@schedule(daily=True)
class DigitsFlow(FlowSpec):
    """Trains several classifiers on handwritten digits and keeps the best.

    The data are the 1,797 images of 8 × 8 pixels that come with scikit-learn. Every candidate is
    fitted and evaluated in a split of its own, at the same time; the best one on images that it has
    not seen becomes the artifact `model`.
    """

    test_share = Parameter(
        "test_share",
        default=0.3,
        min=0.05,
        max=0.95,
        help="Share of the images that the candidates are judged by.",
    )
    seed = Parameter("seed", default=7, help="Decides which images these are.")

    @resources(cpu=1, memory=1024)
    @step
    def start(self):
        """Load the images, part them, and line up the candidates."""
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        images, digits = load_digits(return_X_y=True)
        self.train_images, self.test_images, self.train_digits, self.test_digits = train_test_split(
            images, digits, test_size=self.test_share, random_state=self.seed, stratify=digits
        )
        print(f"{len(self.train_images)} images to learn from, {len(self.test_images)} to judge by")
        self.candidates = [
            {"kind": "svc", "C": 1.0},
            {"kind": "svc", "C": 10.0},
            {"kind": "forest", "trees": 50},
            {"kind": "forest", "trees": 200},
            {"kind": "neighbors", "k": 3},
            {"kind": "neighbors", "k": 9},
        ]
        self.next(self.fit, foreach="candidates")

    @retry(times=2, minutes_between_retries=0)
    @resources(cpu=1, memory=1024)
    @step
    def fit(self):
        """Fit one candidate."""
        self.candidate = self.input
        self.model = build(self.candidate, self.seed)
        self.model.fit(self.train_images, self.train_digits)
        print(f"fitted {self.model}")
        self.next(self.evaluate)

    @resources(cpu=1, memory=1024)
    @step
    def evaluate(self):
        """Judge it by the images that it has not seen."""
        self.accuracy = float(self.model.score(self.test_images, self.test_digits))
        print(f"{self.candidate}: {self.accuracy:.4f}")
        self.next(self.choose)

    @resources(cpu=1, memory=1024)
    @step
    def choose(self, inputs):
        """Keep the best candidate; of equal ones the first."""
        best = max(inputs, key=lambda split: split.accuracy)
        self.best = best.candidate
        self.accuracy = best.accuracy
        self.model = best.model
        self.ranking = sorted(
            ((split.accuracy, str(split.candidate)) for split in inputs), reverse=True
        )
        self.next(self.end)

    @resources(cpu=1, memory=512)
    @step
    def end(self):
        """Show the ranking."""
        for accuracy, candidate in self.ranking:
            print(f"{accuracy:.4f}  {candidate}")


def build(candidate, seed):
    """The classifier that a candidate describes."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    if candidate["kind"] == "svc":
        return SVC(C=candidate["C"])
    if candidate["kind"] == "forest":
        return RandomForestClassifier(n_estimators=candidate["trees"], random_state=seed)
    return KNeighborsClassifier(n_neighbors=candidate["k"])


if __name__ == "__main__":
    DigitsFlow()
