"""What a network is: architecture, blocks, data, training, metrics and checkpoints.

Nothing is imported here, so that the description of a network can be read without loading torch:

    from lightir_core.architecture import Architecture, from_json
    from lightir_core.checkpoints import load_model, save_model
    from lightir_core.network import build
    from lightir_core.published.presets import preset, shrink
    from lightir_core.published.weights import infer, load, read_checkpoint
"""
