"""From the registry to a server: an endpoint file with its versions, and the server in a pod that fetches them.

Components and pods import this: it needs neither the compiler nor a runner.
"""
