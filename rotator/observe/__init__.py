"""Everything that shows or reports what happened: logs, receipts, hooks, metrics, traces, status pages."""
