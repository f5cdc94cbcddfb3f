"""The ONNX form of a model: transform and estimator as one graph, compared with the model row by row before it is used.

`export.export` makes a folder of it, which is a model folder of flavor `onnx`: the server answers from it with
onnxruntime alone, and so does the program `predict.py` that lies in it, on a machine that has nothing of ours.

In the graph are all operations of a transform but casts from and to text and from numbers to times; `placing.split`
says which. Trees (forests, gradient boosting) are written here, since skl2onnx leaves their missing values out; other
estimators by skl2onnx, networks by Keras's own export.
"""
