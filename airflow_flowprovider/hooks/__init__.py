"""Airflow connections as clients of AWS Batch and of the datastore."""
