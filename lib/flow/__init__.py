"""Training of the flow network on pairs of images whose motion is known."""
