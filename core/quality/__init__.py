"""Quality over time: signals of every ended job, their series, and alerts when a version's quality gets worse."""
