"""The renderer and the training of the embedded CLIP ``mini``; run as scripts, never installed."""
