"""What becomes known of a row that was answered: its events, counts and label, and its shadow."""
