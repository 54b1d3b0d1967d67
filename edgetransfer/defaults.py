"""Constants that the command line shows before anything heavy is imported."""

DEFAULT_BACKBONE = "tinyresnet-90"
