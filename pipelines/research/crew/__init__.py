"""The crew: researcher, analyst, writer and reviewer, and the work of each without a model that writes."""
