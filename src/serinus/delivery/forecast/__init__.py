"""How long a plan will take, and whether it can decide at all: rollouts simulated beforehand."""
