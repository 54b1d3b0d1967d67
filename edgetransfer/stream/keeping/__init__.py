"""What makes the learner durable: journal, checkpoints, ids, and their recovery."""
