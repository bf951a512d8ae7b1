"""Snippets and verdicts, in the box: requests -> one forked process each, and what came of it. Never imported on the host.

Three processes. The warden, which `serve` begins in, is the only one that speaks to the host and sees requests and results.
The fork server is forked from it before the first request, and forks a child for each: so what others asked and got is in no
child's memory, not even in parts of it that are free. A child gets its source, its standard input and its files, and no
descriptor but those; what the host will compare with never comes here.

One request at a time: when its child has ended, whatever else it started is killed, and what it left in files is removed, before
the next one begins.
"""
