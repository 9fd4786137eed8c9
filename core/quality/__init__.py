"""Quality over time: signals of every job that has ended, their series, and alerts when a version answers worse."""
