"""The learner of a stream: a function of the records alone; no files."""
