"""What a job steps aside for: a person's answer, or jobs of its own."""
