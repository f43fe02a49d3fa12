"""Where ratings come from: the known sets, their layouts, archives and downloads, and the built-in sample."""
