"""Tutorial 02: the same step for every genre, all at once."""

import csv
import statistics

from flowsdk import FlowSpec, IncludeFile, step


class MovieStatsFlow(FlowSpec):
    """Computes, for every genre, which films it has and how much they have made."""

    movie_data = IncludeFile(
        "movie_data", default="movies.csv", help="The films: title, year, genres, gross_millions."
    )

    @step
    def start(self):
        """Read the films, and split by genre."""
        self.movies = [
            {
                "title": row["title"],
                "year": int(row["year"]),
                "genres": row["genres"].split("|"),
                "gross": float(row["gross_millions"]),
            }
            for row in csv.DictReader(self.movie_data.splitlines())
        ]
        self.genres = sorted({genre for movie in self.movies for genre in movie["genres"]})
        self.next(self.compute_statistics, foreach="genres")

    @step
    def compute_statistics(self):
        """Runs once for each genre; self.input is the one of this task."""
        self.genre = self.input
        movies = [movie for movie in self.movies if self.genre in movie["genres"]]
        movies.sort(key=lambda movie: movie["gross"], reverse=True)
        self.titles = [movie["title"] for movie in movies]
        gross = [movie["gross"] for movie in movies]
        self.summary = {
            "films": len(movies),
            "total": round(sum(gross), 1),
            "median": round(statistics.median(gross), 1),
            "first": min(movie["year"] for movie in movies),
        }
        self.next(self.join)

    @step
    def join(self, inputs):
        """Collect the results; inputs are in the order of the genres."""
        self.stats = {one.genre: {**one.summary, "titles": one.titles} for one in inputs}
        self.next(self.end)

    @step
    def end(self):
        """Show a table."""
        print(f"{'genre':10}{'films':>6}{'total':>9}{'median':>8}{'since':>7}")
        for genre, row in self.stats.items():
            print(
                f"{genre:10}{row['films']:6}{row['total']:9}{row['median']:8}{row['first']:7}",
            )


if __name__ == "__main__":
    MovieStatsFlow()
