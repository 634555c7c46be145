"""What is loaded: from the routing table to the routes in force, and what stands where none is."""
