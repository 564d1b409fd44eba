"""Where else a run is told to: TensorBoard, MLflow."""
