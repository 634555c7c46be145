"""Who is asked, and when: from a request's rows to the calls of their versions."""
