"""Regression runs: cases whose right results are known, run again and compared. Files of JSON lines, nothing else."""
