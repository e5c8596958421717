"""The recipes that come with the project, and how they and those of a person are read."""
