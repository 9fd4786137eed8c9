"""Quality signals and their changes, labels, runs of data sets, gates and experiments."""
