"""What `pitbox` can be asked to do: a file per group of verbs."""
