"""From the result file of an experiment to its report, one file an experiment."""
