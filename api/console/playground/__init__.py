"""The playground: any capability as a form, its result, and what it cost."""
