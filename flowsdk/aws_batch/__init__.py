"""AWS Batch's vocabulary, without Airflow: names, definitions, submissions, states, a launcher."""
