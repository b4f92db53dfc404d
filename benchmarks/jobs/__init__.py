"""What the jobs of the DAG do: training, evaluation and their bookkeeping."""
