"""The process that runs guest code: Execute -> Finished."""
