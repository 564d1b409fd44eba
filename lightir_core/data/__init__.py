"""Images, degradations, tasks, data sets and metrics.

Public: `read_image`, `write_image`, `read_gallery` (images), `training`, `validation`
(photographs), `imresize` (degrade), `TASKS`, `parse_task`, `Task` (tasks), `Pair`, `TrainingSet`,
`training_set`, `validation_set` (datasets), `psnr_y`, `psnr_rgb`, `ssim_y`, `ssim_rgb` (metrics).
"""
