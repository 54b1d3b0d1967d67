"""Constants that the command line shows before anything heavy is imported."""

DEFAULT_BACKBONE = "efficientnet-lite0-50"
ENGINES = ("auto", "sparse", "deepsparse", "openvino", "openvino-bf16", "onnxruntime")
"""What ``--engine`` takes; a test holds it against the registry, which is heavy."""
