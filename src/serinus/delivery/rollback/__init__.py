"""Taking a model back, and finding out whether that has helped."""
