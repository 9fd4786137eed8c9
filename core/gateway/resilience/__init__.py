"""What a call does when its provider fails: wait and try again, stop asking for a while, ask another."""
