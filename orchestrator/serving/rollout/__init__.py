"""How a new version takes over the traffic of an endpoint: planned shares, alarms in between, and the way back.

What is decided here touches nothing; the deploy component moves the traffic, on this machine or on a cluster.
"""
