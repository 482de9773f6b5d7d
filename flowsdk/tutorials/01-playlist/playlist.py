"""Tutorial 01: a file, parameters, two branches and a join."""

import csv
import random

from flowsdk import FlowSpec, IncludeFile, Parameter, step


class PlaylistFlow(FlowSpec):
    """Makes a playlist of a genre's most successful films, with a surprise from another genre."""

    movie_data = IncludeFile(
        "movie_data", default="movies.csv", help="The films: title, year, genres, gross_millions."
    )
    genre = Parameter("genre", default="sci-fi", help="Films of this genre are chosen.")
    recommendations = Parameter(
        "recommendations", default=5, help="How many films the playlist has, the surprise aside."
    )
    seed = Parameter("seed", default=1, help="Of the choice of the surprise.")

    @step
    def start(self):
        """Read the films, then go both ways at once."""
        self.movies = [
            {
                "title": row["title"],
                "genres": row["genres"].split("|"),
                "gross": float(row["gross_millions"]),
            }
            for row in csv.DictReader(self.movie_data.splitlines())
        ]
        self.next(self.bonus_movie, self.genre_movies)

    @step
    def bonus_movie(self):
        """Draw a film of any other genre."""
        others = [movie["title"] for movie in self.movies if self.genre not in movie["genres"]]
        self.bonus = random.Random(self.seed).choice(others)
        self.next(self.join)

    @step
    def genre_movies(self):
        """Take the films of the genre, the most successful first."""
        chosen = [movie for movie in self.movies if self.genre in movie["genres"]]
        chosen.sort(key=lambda movie: movie["gross"], reverse=True)
        self.titles = [movie["title"] for movie in chosen]
        self.next(self.join)

    @step
    def join(self, inputs):
        """Bring both branches together: a join sees each of them by the name of its last step."""
        self.playlist = inputs.genre_movies.titles[: self.recommendations]
        self.bonus = inputs.bonus_movie.bonus
        self.next(self.end)

    @step
    def end(self):
        """Show the playlist."""
        print(f"Playlist for {self.genre}:")
        for number, title in enumerate(self.playlist, 1):
            print(f"  {number}. {title}")
        print(f"And something else: {self.bonus}")


if __name__ == "__main__":
    PlaylistFlow()
