"""Images, degradations, tasks, data sets and metrics.

Public, by module:
    images       `read_image`, `write_image`, `read_gallery`, `to_tensor`, `to_pixels`
    photographs  `training`, `validation`
    degrade      `imresize`, `mod_crop`, `add_noise`, `compress_jpeg`, `mosaic`,
                 `demosaic_bilinear`, `add_rain`, `add_snow`
    layouts      `Folder`, `parse_folder`, `find_layout`
    tasks        `TASKS`, `Task`, `parse_task`
    metrics      `METRICS`, `psnr_y`, `psnr_rgb`, `ssim_y`, `ssim_rgb`, `to_eight_bits`
    datasets     `open_data`, `training_set`, `validation_set`, `Data`, `Pair`, `TrainingSet`
    pack         `write_pack`, `read_pack`, `is_pack`
    check        `check`, `Check`
"""
