"""The processes of a gateway: one worker's life, and who keeps so many of them alive."""
