"""Bringing a challenger to traffic: plan, evidence, judge, reconcile, controller, rollback."""
