"""The embedded bundle, trained by ``training/`` on rendered images only."""
