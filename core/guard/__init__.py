"""Guard: what text may cross which border. Personal data, prompt injection and data classification, by policy."""
