"""`make demo`: a sample project, real runs on it, and agents that follow a script.

`sample/` is the project as it begins, `issues.toml` its issues, `scenario.toml` what each agent does.
"""
