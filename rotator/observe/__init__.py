"""Reports of what happened: logs, receipts, hooks, metrics, traces, status pages."""
