"""Templates of one kind each that are programs on their wikis, read by hand from what their call says."""
