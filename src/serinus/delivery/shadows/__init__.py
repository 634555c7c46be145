"""What two versions answered to the same requests, for a person to read."""
