"""The foundation of all other packages: counts, class weights, schedules, knobs, files, the plain types."""
