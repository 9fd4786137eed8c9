"""Gates: a version is promoted only after it has passed a run of a data set."""
