"""Runs on a laptop: a scheduler in one process, tasks as its forks or as AWS Batch jobs."""
