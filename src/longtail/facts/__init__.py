"""What everything else stands on: counts, weights of classes, schedules, knobs, the plain types."""
