"""The crew: researcher, analyst, writer and reviewer, and what each does without a model that writes."""
