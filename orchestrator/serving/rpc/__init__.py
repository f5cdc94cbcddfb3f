"""V2 by gRPC: the same service, answers and limits as over HTTP, with messages of a descriptor pool of its own.

A process can hold the messages of one service `inference` only once in the pool that everybody shares, and the clients
of Triton and of KServe both put theirs there.
"""
