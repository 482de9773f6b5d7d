"""Tutorial 03: a flow that uses the result of another one."""

from flowsdk import Flow, FlowSpec, Parameter, step


class PlaylistReduxFlow(FlowSpec):
    """Makes the playlist of tutorial 01 from the statistics of tutorial 02."""

    genre = Parameter("genre", default="sci-fi", help="Films of this genre are chosen.")
    recommendations = Parameter("recommendations", default=5, help="How many films are chosen.")

    @step
    def start(self):
        """Get the statistics of the last successful run of MovieStatsFlow."""
        run = Flow("MovieStatsFlow").latest_successful_run
        if run is None:
            raise RuntimeError("Run MovieStatsFlow of tutorial 02 first.")
        print(f"Using {run.pathspec}.")
        self.source = run.pathspec
        self.stats = run.data.stats
        self.next(self.pick_movies)

    @step
    def pick_movies(self):
        """Take the most successful films."""
        if self.genre not in self.stats:
            raise ValueError(f"There is no genre {self.genre!r}, only {', '.join(self.stats)}.")
        self.playlist = self.stats[self.genre]["titles"][: self.recommendations]
        self.next(self.end)

    @step
    def end(self):
        """Show the playlist."""
        print(f"Playlist for {self.genre}:")
        for number, title in enumerate(self.playlist, 1):
            print(f"  {number}. {title}")


if __name__ == "__main__":
    PlaylistReduxFlow()
