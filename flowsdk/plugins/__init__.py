"""What can be extended: kinds of things of which flowsdk brings a few."""
