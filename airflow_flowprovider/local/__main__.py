"""``python -m airflow_flowprovider.local``: see :mod:`airflow_flowprovider.local.cli`."""

from airflow_flowprovider.local.cli import main

main()
