"""Reports on a question: researched, written by a crew, checked claim by claim."""
