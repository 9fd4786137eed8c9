"""Gates: a version is promoted only after a run of a data set has shown what it can."""
