"""What steps assign to ``self``: how it is serialized, stored, loaded and merged."""
