"""Deploying flows to Airflow: files into its dags folder, everything else through its REST API."""
