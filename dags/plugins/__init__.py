"""What Airflow loads into its components (`[core] plugins_folder`)."""
