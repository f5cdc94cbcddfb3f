"""An endpoint file becomes a running endpoint: declared in a folder, served by an embedded model server."""
