"""What commands do that are no line of work of their own: one file or room a command."""
