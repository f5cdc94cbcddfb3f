"""Container images of components: what goes into one, how it is built, and the lock that pins its digest."""
