"""The embedded AWS, and an Airflow around it: everything a laptop needs to try the provider.

Nothing else in the project imports this package, or knows whether the AWS it talks to is real.
"""
