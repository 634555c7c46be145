"""From what a person asks for to a plan: its steps, guardrails and gates. Pure."""
