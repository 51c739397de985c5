"""What a report shows, as numbers: pure functions of what was measured. Words and pictures are made elsewhere."""
