"""All of Dagster: assets, checks, jobs, schedules, sensors, the run queue. What a stage does is in `stages`."""
