"""The fuzzing of what comes from outside in files, documents and over the control socket."""
