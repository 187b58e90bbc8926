"""What is read from runs: summaries, recovery, queueing theory and the ideal queue."""
